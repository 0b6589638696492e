# SPDX-License-Identifier: GPL-2.0
"""Load that checks itself, on a machine of the lab while something happens to it."""

import socket
import threading

STOP = '/tmp/.load.stop'


class EchoServer:
    """On the host, where the guest finds it at 10.0.2.2."""

    def __init__(self):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._echo, args=(peer,), daemon=True).start()

    def _echo(self, peer):
        with peer:
            try:
                while data := peer.recv(65536):
                    peer.sendall(data)
            except OSError:
                pass

    def close(self):
        # Not close() alone: accept() in the thread would keep it open.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Load:
    """with Load(machine): programs of every kind run; at the end each must say that all was as it should be."""

    def __init__(self, machine, *kinds, settle=0.3, late_ms=1000):
        """LATE_MS: how late the end of a sleep may be."""
        self.machine = machine
        self.server = EchoServer() if not kinds or 'net' in kinds else None
        commands = {
            'cpu': 'load_cpu -a',
            'timer': f'load_timer -l {late_ms}',
            'fork': 'load_fork -p 2',
            'mem': 'load_mem -m 4',
            'xsave': 'load_xsave',
            'cpuid': 'load_cpuid',
            'disk': 'load_disk -d /dev/sda -s 2',
            'net': f'load_net -h 10.0.2.2 -p {self.server.port if self.server else 0}',
        }
        self.commands = [commands[k] for k in kinds or ('cpu', 'timer', 'fork', 'mem', 'xsave', 'disk', 'net')]
        self.settle = settle
        self.jobs = []
        self.lines = []

    def __enter__(self):
        self.machine.run(f'rm -f {STOP}')
        self.jobs = [self.machine.background(f'{c} -u {STOP}') for c in self.commands]
        self.machine.run(f'sleep {self.settle}', timeout=120)
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.machine.run(f'sleep {self.settle}; touch {STOP}', timeout=120)
                results = [(c, job.wait(timeout=240)) for c, job in zip(self.commands, self.jobs)]
                self.lines = [r.output.strip() for _, r in results]
                bad = [f'{c}: status {r.status}: {r.output}' for c, r in results if r.status or ' ok' not in r.output]
                assert not bad, '\n'.join(bad)
        finally:
            if self.server:
                self.server.close()
