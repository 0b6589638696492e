# SPDX-License-Identifier: GPL-2.0-only
"""What the INI file may say: tables of sections and keys, and the configuration that comes out."""

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path

from . import Problem, ini

NAME = r'[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?'
POWER_OFF = ('power-off', 'restart', 'menu')


# -- kinds of values: each takes an ini.Value, and returns what it means or raises its fault

def choice(*names):
    def read(value):
        if value not in names:
            raise value.fault(f'{value!r} is not one of {", ".join(names)}')
        return str(value)
    return read


def number(low, high):
    def read(value):
        if not re.fullmatch(r'\d{1,9}', value) or not low <= int(value) <= high:
            raise value.fault(f'{value!r} is not a number from {low} to {high}')
        return int(value)
    return read


def boolean(value):
    return choice('yes', 'no')(value) == 'yes'


def address(value):
    try:
        return ipaddress.IPv4Address(str(value))
    except ValueError:
        raise value.fault(f'{value!r} is not an IPv4 address') from None


def addresses(value):
    parts = [p.strip() for p in value.split(',')]
    try:
        return [ipaddress.IPv4Address(p) for p in parts]
    except ValueError:
        raise value.fault(f'{value!r} is not a list of IPv4 addresses') from None


def address_range(value):
    match = re.fullmatch(r'([\d.]+)\s*-\s*([\d.]+)', value)
    try:
        low, high = (ipaddress.IPv4Address(a) for a in match.groups())
    except (AttributeError, ValueError):
        raise value.fault(f'{value!r} is not a range such as 192.168.7.100-192.168.7.199') from None
    if low > high:
        raise value.fault(f'{value!r}: the first address is above the last')
    return low, high


def netmask(value):
    try:
        return ipaddress.IPv4Network(f'0.0.0.0/{value}').netmask
    except ValueError:
        raise value.fault(f'{value!r} is not a netmask') from None


def mac(value):
    if not re.fullmatch(r'([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}', value):
        raise value.fault(f'{value!r} is not a MAC address such as 52:54:00:12:34:56')
    if int(value[:2], 16) & 1:
        raise value.fault(f'{value!r} is a group address, no machine has it')
    return value.lower().replace('-', ':')


def name(value):
    if not re.fullmatch(NAME, value):
        raise value.fault(f'{value!r}: names have small letters, digits, dots and hyphens')
    return str(value)


def version(value):
    if value != 'current' and not re.fullmatch(r'[1-9]\d{0,8}', value):
        raise value.fault(f'{value!r} is neither a version number nor `current`')
    return str(value)


def size(value):
    if not re.fullmatch(r'[1-9]\d{0,8}[KMGT]?', value):
        raise value.fault(f'{value!r} is not a size such as 512M')
    return str(value)


def memory(value):
    return 'auto' if value == 'auto' else size(value)


def overlay(value):
    return str(value) if value == 'none' or re.fullmatch(r'[1-9]\d?%', value) else size(value)


def directory(value):
    if not value.startswith('/'):
        raise value.fault(f'{value!r}: a full path is needed')
    return Path(value)


def lease(value):
    if not re.fullmatch(r'[1-9]\d{0,5}[mhd]?', value):
        raise value.fault(f'{value!r} is not a time such as 45m, 12h or 2d')
    return str(value)


def word(value):
    if not re.fullmatch(r'[A-Za-z0-9_.:-]{1,15}', value):
        raise value.fault(f'{value!r} is not the name of a network interface')
    return str(value)


def arguments(value):
    """Words of a kernel command line. They go into iPXE scripts and INI files."""
    if not re.fullmatch(r'[\x20-\x7e]+', value) or re.search(r'[|&$#;\\]', value):
        raise value.fault('none of | & $ # ; \\ can be in a command line here')
    return str(value)


SERVER = {'address': address, 'directory': directory, 'http_port': number(1, 65535), 'nbd_port': number(1, 65535)}
DHCP = {'mode': choice('full', 'proxy', 'off'), 'interface': word, 'range': address_range, 'netmask': netmask,
        'router': address, 'dns': addresses, 'lease': lease}
BOOT = {'service': name, 'menu_timeout': number(0, 3600), 'retry': number(1, 3600),
        'unknown': choice('refuse', 'boot')}
CLIENT = {'image': name, 'version': version, 'kernel': name, 'kernel_version': version, 'service': name,
          'service_version': version, 'memory': memory,
          'share': number(1, 99), 'cmdline': arguments, 'service_cmdline': arguments,
          'on_power_off': choice(*POWER_OFF), 'overlay': overlay, 'bus': choice('ide'),
          'firmware': choice('seabios', 'ovmf'), 'console': boolean}
ONLY_CLIENT = {'mac': mac, 'address': address}


@dataclass
class Dhcp:
    mode: str = 'off'
    interface: str = None
    range: tuple = None
    netmask: object = None
    router: object = None
    dns: list = field(default_factory=list)
    lease: str = '12h'


@dataclass
class Boot:
    service: str = 'service'
    menu_timeout: int = 5
    retry: int = 10
    unknown: str = 'refuse'


@dataclass
class Client:
    """A machine, or with no name what [defaults] says."""
    name: str = None
    mac: str = None
    address: object = None
    image: str = None
    version: str = 'current'
    kernel: str = None          # a Linux image that boots instead of firmware
    kernel_version: str = 'current'
    service: str = None
    service_version: str = 'current'
    memory: str = 'auto'
    share: int = 90
    cmdline: str = None
    service_cmdline: str = None
    on_power_off: str = 'power-off'
    overlay: str = '25%'        # of the machine's memory
    bus: str = 'ide'
    firmware: str = 'seabios'
    console: bool = True
    section: object = None

    def uses(self):
        """(image, version) of all that it boots."""
        yield self.image, self.version
        yield self.service, self.service_version
        if self.kernel:
            yield self.kernel, self.kernel_version

    def file_name(self):
        return self.mac.replace(':', '-') if self.mac else 'default'


@dataclass
class Config:
    file: str
    text: str
    sections: list
    address: object = None
    directory: Path = Path('/var/lib/avmm')
    http_port: int = 80
    nbd_port: int = 10809
    dhcp: Dhcp = field(default_factory=Dhcp)
    boot: Boot = field(default_factory=Boot)
    defaults: Client = None
    clients: list = field(default_factory=list)

    def url(self):
        return f'http://{self.address}' + ('' if self.http_port == 80 else f':{self.http_port}')

    def section(self, kind, name=None):
        return next((s for s in self.sections if (s.kind, s.name) == (kind, name)), None)

    def client(self, name):
        found = next((c for c in self.clients if c.name == name), None)
        if not found:
            raise Problem(f'{self.file}: there is no [client {name}]')
        return found

    def bootable(self):
        """The clients, and the unknown ones if these are to boot."""
        return self.clients + ([self.defaults] if self.boot.unknown == 'boot' else [])


def _read(section, keys):
    unknown = next((k for k in section.values if k not in keys), None)
    if unknown:
        raise section.values[unknown].fault(f'{section.title()} has no key {unknown!r}; it has {", ".join(keys)}')
    return {key: keys[key](value) for key, value in section.values.items()}


def _fill(target, section, keys):
    for key, value in _read(section, keys).items():
        setattr(target, key, value)


def _clients(config):
    for section in config.sections:
        if section.kind != 'client':
            continue
        if not section.name or not re.fullmatch(NAME, section.name):
            raise section.fault(f'{section.title()}: a client has a name of small letters, digits, dots and hyphens')
        shared = {key: getattr(config.defaults, key) for key in CLIENT}
        client = Client(**{**shared, **_read(section, {**ONLY_CLIENT, **CLIENT}), 'name': section.name})
        client.section = section
        if not client.mac:
            raise section.fault(f'{section.title()} has no mac')
        if not client.image:
            raise section.fault(f'{section.title()} has no image, and [defaults] has none either')
        _unique(config.clients, client)
        config.clients.append(client)


def _unique(clients, client):
    for other in clients:
        for key in ('mac', 'address'):
            value = client.section.values.get(key)
            if value and getattr(other, key) == getattr(client, key):
                raise value.fault(f'{key} {value} is that of [client {other.name}] already')


def _check_dhcp(config):
    dhcp, section = config.dhcp, config.section('dhcp')
    if dhcp.mode == 'off':
        return
    needed = ('interface', 'range', 'netmask') if dhcp.mode == 'full' else ('interface', 'netmask')
    for key in needed:
        if not getattr(dhcp, key):
            raise section.fault(f'mode = {dhcp.mode} needs {key}')
    net = ipaddress.IPv4Network(f'{config.address}/{dhcp.netmask}', strict=False)
    if dhcp.mode == 'full':
        value = section.values['range']
        for end in dhcp.range:
            if end not in net:
                raise value.fault(f'{end} is not in {net}, the network of the server')
        if dhcp.range[0] <= config.address <= dhcp.range[1]:
            raise value.fault(f'the server\'s own address {config.address} is in the range')
    for client in config.clients:
        if client.address and client.address not in net:
            raise client.section.values['address'].fault(f'{client.address} is not in {net}, the network of the server')


def parse(text, file):
    config = Config(file, text, ini.parse(text, file))
    keys = {'server': (config, SERVER), 'dhcp': (config.dhcp, DHCP), 'boot': (config.boot, BOOT)}
    config.defaults = Client()
    for section in config.sections:
        if section.kind == 'client':
            continue
        if section.name or section.kind not in (*keys, 'defaults'):
            raise section.fault(f'there is no section {section.title()}; '
                                'there are [server], [dhcp], [boot], [defaults] and [client NAME]')
        if section.kind == 'defaults':
            _fill(config.defaults, section, CLIENT)
            config.defaults.section = section
        else:
            _fill(keys[section.kind][0], section, keys[section.kind][1])
    if not config.address:
        raise ini.Fault(file, 1, '[server] has no address: the one at which the clients reach this server')
    config.defaults.service = config.defaults.service or config.boot.service
    _clients(config)
    if config.boot.unknown == 'boot' and not config.defaults.image:
        raise config.section('boot').values['unknown'].fault('unknown = boot needs an image in [defaults]')
    _check_dhcp(config)
    return config


def load(file):
    try:
        text = Path(file).read_text()
    except OSError as e:
        raise Problem(f'{file}: {e.strerror}') from None
    except UnicodeDecodeError:
        raise Problem(f'{file}: not text in UTF-8') from None
    return parse(text, file)
