# SPDX-License-Identifier: GPL-2.0-only
"""avmm-server check: will clients boot from this server? Each finding has what to do about it."""

import os
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from . import Problem, generate

PROGRAMS = {'dnsmasq': 'dnsmasq-base', 'nbd-server': 'nbd-server', 'nginx': 'nginx-light'}


def own_addresses():
    out = subprocess.run(['ip', '-4', '-o', 'addr'], stdout=subprocess.PIPE, text=True, check=False).stdout
    return dict((address, interface) for interface, address in re.findall(r'^\d+: (\S+)\s+inet ([\d.]+)', out, re.M))


def _programs(config):
    for program, package in PROGRAMS.items():
        if program == 'dnsmasq' and config.dhcp.mode == 'off':
            continue
        if not shutil.which(program, path=f'{os.environ.get("PATH", "")}:/usr/sbin:/sbin'):
            yield f'{program} is not installed: apt install {package}'
    for name, source in generate.IPXE.items():
        if not os.path.exists(source):
            yield f'{source}, which firmware is given as {name}, is not there: apt install ipxe'


def _address(config):
    have = own_addresses()
    if str(config.address) not in have:
        yield f'[server] address {config.address} is none of this machine\'s: {", ".join(have)}'
    elif config.dhcp.mode != 'off' and have[str(config.address)] != config.dhcp.interface:
        yield f'[dhcp] interface {config.dhcp.interface}: the address {config.address} is on {have[str(config.address)]}'


def _images(config, store, verify):
    for client in config.bootable():
        for name, version in client.uses():
            where = f'[client {client.name}]' if client.name else '[defaults]'
            try:
                number = store.resolve(name, version)
                kind = store.manifest(name, number)['kind']
                if name in (client.service, client.kernel) and kind != 'linux':
                    yield f'{where}: image {name} is a {kind} image, and has no kernel'
            except Problem as e:
                yield f'{where}: {e}'
    for name in store.names() if verify else ():
        for version in store.versions(name):
            yield from store.verify(name, version)


def _generated(config, store):
    try:
        texts = generate.outputs(config, store)
    except Problem:
        return          # _images() said why
    for path, text in texts.items():
        if not path.is_file() or path.read_text() != text:
            yield f'{path} is not what the configuration says: run avmm-server apply'
    conf = config.directory / 'generated' / 'dnsmasq.conf'
    if conf.is_file() and shutil.which('dnsmasq', path='/usr/sbin:/sbin:/usr/bin'):
        test = subprocess.run(['dnsmasq', '--test', f'--conf-file={conf}'], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if test.returncode:
            yield f'dnsmasq does not take {conf}: {test.stdout.strip()}'


def _listening(config):
    """Asked of what runs: a page that every client fetches, and the greeting of the NBD server."""
    try:
        with urllib.request.urlopen(f'{config.url()}/boot.ipxe', timeout=5) as answer:
            if not answer.read().startswith(b'#!ipxe'):
                yield f'{config.url()}/boot.ipxe is something else: another web server has the port'
    except (OSError, urllib.error.URLError) as e:
        yield f'{config.url()}/boot.ipxe: {getattr(e, "reason", e)}: systemctl start avmm-http'
    if not (config.directory / 'generated/nbd-server.conf').exists():
        return
    try:
        with socket.create_connection((str(config.address), config.nbd_port), timeout=5) as s:
            if not s.recv(8).startswith(b'NBDMAGIC'):
                yield f'port {config.nbd_port} of {config.address} is not an NBD server'
    except OSError as e:
        yield f'NBD server {config.address}:{config.nbd_port}: {e.strerror or e}: systemctl start avmm-nbd-server'


def _secrets(config):
    """A disk image under the web server's root could be fetched by anyone who can reach it."""
    for path in Path(config.directory / 'http').rglob('*'):
        if path.name == 'disk.img':
            yield f'{path} can be fetched by HTTP'


def findings(config, store, verify=False, running=False):
    yield from _programs(config)
    yield from _address(config)
    yield from _images(config, store, verify)
    yield from _generated(config, store)
    yield from _secrets(config)
    if running:
        yield from _listening(config)
