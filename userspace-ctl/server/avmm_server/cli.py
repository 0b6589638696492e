# SPDX-License-Identifier: GPL-2.0-only
"""The command line. Exit status: 0 done, 1 refused or failed, 2 the command line was wrong."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from . import Problem, check, config, files, generate, images, ini

FILE = '/etc/avmm/server.ini'


def _parser():
    top = argparse.ArgumentParser(prog='avmm-server', description='The server of diskless AVMM clients.')
    top.add_argument('--config', metavar='FILE', default=FILE, help=f'instead of {FILE}')
    top.add_argument('--json', action='store_true', help='print JSON')
    top.add_argument('--no-reload', action='store_true', help='tell no running program of the change')
    commands = top.add_subparsers(dest='command', required=True, metavar='COMMAND')
    p = commands.add_parser('check', help='will clients boot from this server?')
    p.add_argument('--verify', action='store_true', help="compare the images' files with their checksums")
    p.add_argument('--running', action='store_true', help='ask the HTTP and NBD servers, too')
    p = commands.add_parser('add-client', help='a machine that may boot')
    p.add_argument('name')
    p.add_argument('--mac', required=True)
    for key in ('image', 'version', 'address', 'memory'):
        p.add_argument(f'--{key}')
    p = commands.add_parser('remove-client', help='a machine that no longer may')
    p.add_argument('name')
    commands.add_parser('list', help='clients, and images with their versions')
    commands.add_parser('apply', help='after the configuration was edited: write all that follows from it')
    _image_parser(commands.add_parser('image', help='add, pin, roll back, remove').add_subparsers(
        dest='action', required=True, metavar='ACTION'))
    return top


def _image_parser(actions):
    p = actions.add_parser('add', help='a new version, which becomes the current one')
    p.add_argument('name')
    p.add_argument('source', help='a file with a disk, or a directory with vmlinuz and initrd.img')
    p = actions.add_parser('pin', help="fix a client's image to a version, or let it follow `current`")
    p.add_argument('client', help='its name, or `defaults`')
    p.add_argument('version', help='a number or `current`')
    p.add_argument('--service', action='store_true', help='its service image instead')
    p = actions.add_parser('rollback', help='make the version before, or the one that is named, the current one')
    p.add_argument('name')
    p.add_argument('version', nargs='?')
    p = actions.add_parser('remove', help='a version that nobody uses')
    p.add_argument('name')
    p.add_argument('version')


class Server:
    def __init__(self, options):
        self.options = options
        self.config = config.load(options.config)
        self.store = images.Store(self.config.directory)

    # -- commands: each returns what --json prints, and the text for people

    def check(self):
        found = list(check.findings(self.config, self.store, self.options.verify, self.options.running))
        text = '\n'.join(found) if found else f'{self.config.file}: {len(self.config.clients)} clients can boot'
        return {'findings': found}, text, bool(found)

    def add_client(self):
        o = self.options
        name = config.name(self._value(o.name))
        if self.config.section('client', name):
            raise Problem(f'{self.config.file}: [client {name}] is there already')
        keys = {key: getattr(o, key) for key in ('mac', 'image', 'version', 'address', 'memory')}
        self._rewrite(ini.append_section(self.config.text, f'client {name}', keys))
        return {'client': name}, f'{name}: {self._describe(self.config.client(name))}', False

    def remove_client(self):
        section = self.config.client(self.options.name).section
        lines = self.config.text.splitlines()
        last = max([section.line, *(v.line for v in section.values.values())])
        del lines[section.line - 1:last]
        self._rewrite('\n'.join(lines).rstrip('\n') + '\n')
        return {'client': self.options.name}, f'{self.options.name} is no client any more', False

    def list(self):
        clients = [self._client(c) for c in self.config.clients]
        listed = [self._image(name) for name in self.store.names()]
        lines = [f'{c["name"]:16} {c["mac"]}  {c["image"]} {c["version"]}'
                 f'{"" if c["pinned"] else " (current)"}, service {c["service"]} {c["service_version"]}' for c in clients]
        for image in listed:
            for v in image['versions']:
                mark = '*' if v['version'] == image['current'] else ' '
                day = time.strftime('%Y-%m-%d %H:%M', time.localtime(v['added']))
                lines.append(f'{image["name"]:16} {v["version"]:>3}{mark} {image["kind"]:5} {v["size"] >> 20:>7} MiB  {day}  '
                             f'{" ".join(v["users"])}')
        return {'clients': clients, 'images': listed}, '\n'.join(lines), False

    def apply(self):
        changed = self._apply()
        return {'changed': changed}, '\n'.join(f'{p}: written' for p in changed) or 'nothing has changed', False

    def image_add(self):
        o = self.options
        number = self.store.add(o.name, o.source)
        self._apply(tolerant=True)
        return {'image': o.name, 'version': number}, f'image {o.name}: version {number} is current', False

    def image_pin(self):
        o = self.options
        version = config.version(self._value(o.version))
        section = self.config.section('defaults') if o.client == 'defaults' else self.config.client(o.client).section
        if not section:
            raise Problem(f'{self.config.file}: there is no [defaults]')
        client = self.config.defaults if o.client == 'defaults' else self.config.client(o.client)
        name = client.service if o.service else client.image
        self.store.resolve(name, version)
        self._rewrite(ini.set_value(self.config.text, section, 'service_version' if o.service else 'version', version))
        return {'client': o.client, 'image': name, 'version': version}, f'{o.client}: image {name} {version}', False

    def image_rollback(self):
        o = self.options
        version = None if o.version is None else config.version(self._value(o.version))
        old, new = self.store.rollback(o.name, version)
        self._apply()
        return {'image': o.name, 'from': old, 'version': new}, f'image {o.name}: version {new} is current, {old} was', False

    def image_remove(self):
        o = self.options
        number = self.store.remove(o.name, config.version(self._value(o.version)),
                                   lambda n: [f'{u} is configured for it' for u in self._users(o.name, n)])
        self._apply()
        return {'image': o.name, 'version': number}, f'image {o.name}: version {number} is removed', False

    # -- parts of them

    @staticmethod
    def _value(text):
        value = ini.Value(text)
        value.file, value.line = 'command line', 0
        return value

    def _users(self, name, number):
        """Who would get version NUMBER of image NAME at its next boot."""
        for c in [*self.config.clients, self.config.defaults]:
            for image, version in c.uses():
                if image == name and number == (self.store.current(name) if version == 'current' else int(version)):
                    yield c.name or 'defaults'

    def _client(self, c):
        return {'name': c.name, 'mac': c.mac, 'address': str(c.address) if c.address else None, 'image': c.image,
                'version': self._number(c.image, c.version), 'pinned': c.version != 'current', 'service': c.service,
                'service_version': self._number(c.service, c.service_version)}

    def _number(self, name, version):
        try:
            return self.store.resolve(name, version)
        except Problem:
            return None

    def _image(self, name):
        versions = []
        for number in self.store.versions(name):
            manifest = self.store.manifest(name, number)
            versions.append({'version': number, 'added': manifest['added'],
                             'size': sum(f['size'] for f in manifest['files'].values()),
                             'users': sorted(set(self._users(name, number)))})
        return {'name': name, 'kind': self.store.manifest(name, versions[-1]['version'])['kind'] if versions else '?',
                'current': self.store.current(name), 'versions': versions}

    def _describe(self, client):
        found = self._client(client)
        return f'{found["mac"]} boots {found["image"]} version {found["version"]}'

    def _rewrite(self, text):
        """A changed INI file: read as a whole first, so that no command leaves a broken one behind."""
        changed = config.parse(text, self.config.file)
        generate.outputs(changed, self.store)
        files.write(self.options.config, text, mode=os.stat(self.options.config).st_mode & 0o777)
        self.config = changed
        self._apply()

    def _apply(self, tolerant=False):
        """TOLERANT: the first images of a new server are added before all that its clients want is there."""
        try:
            changed = [str(p) for p in generate.apply(self.config, self.store)]
        except Problem as e:
            if not tolerant:
                raise
            print(f'avmm-server: not applied yet: {e}', file=sys.stderr)
            return []
        if not self.options.no_reload:
            reload_programs(changed)
        return changed


def reload_programs(changed):
    """Running clients keep their connections: nbd-server reads new exports on SIGHUP, dnsmasq has to start anew."""
    units = {'dnsmasq.conf': ('restart', 'avmm-dhcp.service'), 'nginx.conf': ('reload-or-restart', 'avmm-http.service'),
             'nbd-server.conf': ('reload-or-restart', 'avmm-nbd-server.service')}
    if not Path('/run/systemd/system').is_dir() or \
            subprocess.run(['systemctl', '-q', 'is-active', 'avmm-server.target'], check=False).returncode:
        return
    for path in changed:
        if os.path.basename(path) in units:
            subprocess.run(['systemctl', *units[os.path.basename(path)]], check=False)


def main(arguments):
    options = _parser().parse_args(arguments)
    method = options.command if options.command != 'image' else f'image_{options.action}'
    try:
        server = Server(options)
        with server.store.locked():
            # read again: whoever held the lock may have changed it
            server = Server(options)
            answer, text, failed = getattr(server, method.replace('-', '_'))()
    except Problem as e:
        if options.json:
            print(json.dumps({'error': str(e)}))
        print(f'avmm-server: {e}', file=sys.stderr)
        return 1
    except PermissionError as e:
        print(f'avmm-server: {e.filename}: {e.strerror}', file=sys.stderr)
        return 1
    print(json.dumps(answer, indent=1) if options.json else text)
    return 1 if failed else 0
