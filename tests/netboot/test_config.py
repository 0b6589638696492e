# SPDX-License-Identifier: GPL-2.0-only
"""The INI file: what it may say, and that everything else is refused by file and line."""

import pytest

from avmm_server import Problem, config, ini

SERVER = '[server]\naddress = 192.168.7.1\n'
DHCP = '[dhcp]\nmode = full\ninterface = eth1\nrange = 192.168.7.100-192.168.7.199\nnetmask = 255.255.255.0\n'
CLIENT = '[client ada]\nmac = 52:54:00:12:34:56\nimage = win\n'

REFUSED = [
    ('address = 1.2.3.4\n', 1, 'before the first section'),
    ('[server]\nrubbish\n', 2, 'not "key = value"'),
    ('[server\n', 1, 'not a section'),
    ('[server]\naddress =\n', 2, 'address has no value'),
    ('[server]\naddress = ; none\n', 2, 'address has no value'),
    ('[server]\naddress = 300.1.1.1\n', 2, 'not an IPv4 address'),
    ('[server]\nhttp_port = 80\n', 1, '[server] has no address'),
    (SERVER + 'address = 192.168.7.2\n', 3, 'given twice, first in line 2'),
    (SERVER + 'http_port = 70000\n', 3, 'from 1 to 65535'),
    (SERVER + 'directory = srv\n', 3, 'full path'),
    (SERVER + 'colour = red\n', 3, "no key 'colour'"),
    (SERVER + '[servers]\n', 3, 'no section [servers]'),
    (SERVER + '[server two]\n', 3, 'no section [server two]'),
    (SERVER + SERVER, 3, 'there already, in line 1'),
    (SERVER + '[dhcp]\nmode = maybe\n', 4, 'not one of full, proxy, off'),
    (SERVER + '[dhcp]\nmode = full\ninterface = eth1\n', 3, 'mode = full needs range'),
    (SERVER + DHCP.replace('.100-', '.200-'), 6, 'above the last'),
    (SERVER + DHCP.replace('-192.168.7.199', ''), 6, 'not a range'),
    (SERVER + DHCP.replace('192.168.7.100', '10.0.0.1'), 6, 'not in 192.168.7.0/24'),
    (SERVER.replace('7.1', '7.150') + DHCP, 6, 'is in the range'),
    (SERVER + '[dhcp]\ninterface = a/b\n', 4, 'network interface'),
    (SERVER + '[boot]\nmenu_timeout = -1\n', 4, 'from 0 to 3600'),
    (SERVER + '[boot]\nunknown = boot\n', 4, 'needs an image'),
    (SERVER + '[client]\nmac = 52:54:00:12:34:56\n', 3, 'a client has a name'),
    (SERVER + '[client Ada]\nmac = 52:54:00:12:34:56\n', 3, 'small letters'),
    (SERVER + '[client ada]\nimage = win\n', 3, 'has no mac'),
    (SERVER + '[client ada]\nmac = 52:54:00:12:34:56\n', 3, 'has no image'),
    (SERVER + CLIENT.replace('52:', '53:'), 4, 'group address'),
    (SERVER + CLIENT.replace(':56', ''), 4, 'not a MAC address'),
    (SERVER + CLIENT + CLIENT, 6, 'there already, in line 3'),
    (SERVER + CLIENT + CLIENT.replace('ada', 'bob'), 7, 'that of [client ada] already'),
    (SERVER + CLIENT + 'version = 0\n', 6, 'neither a version number'),
    (SERVER + CLIENT + 'image = x\n', 6, 'given twice'),
    (SERVER + CLIENT + 'memory = lots\n', 6, 'not a size'),
    (SERVER + CLIENT + 'overlay = 100%\n', 6, 'not a size'),
    (SERVER + CLIENT + 'share = 100\n', 6, 'from 1 to 99'),
    (SERVER + CLIENT + 'on_power_off = explode\n', 6, 'not one of'),
    (SERVER + CLIENT + 'service_cmdline = a || shell\n', 6, 'none of'),
    (SERVER + CLIENT + 'cmdline = ${mac}\n', 6, 'none of'),
    (SERVER + DHCP + CLIENT + 'address = 10.0.0.1\n', 11, 'not in 192.168.7.0/24'),
    (SERVER + '[defaults]\nmac = 52:54:00:12:34:56\n', 4, "no key 'mac'"),
]


@pytest.mark.parametrize('text, line, why', REFUSED)
def test_refused_with_file_and_line(text, line, why):
    with pytest.raises(Problem) as e:
        config.parse(text, 'x.ini')
    assert str(e.value).startswith(f'x.ini:{line}: ') and why in str(e.value), str(e.value)


def test_defaults_and_clients():
    found = config.parse(SERVER + DHCP + '[defaults]\nimage = deb\nshare = 80 ; percent\n# no client\n' + CLIENT +
                         '[client bob]\nmac = 52-54-00-AA-34-57\nversion = 3\naddress = 192.168.7.20\n', 'x')
    ada, bob = found.clients
    assert (ada.image, ada.version, ada.share, ada.memory, ada.service) == ('win', 'current', 80, 'auto', 'service')
    assert (bob.image, bob.version, bob.mac, str(bob.address)) == ('deb', '3', '52:54:00:aa:34:57', '192.168.7.20')
    assert bob.file_name() == '52-54-00-aa-34-57'
    assert found.bootable() == found.clients


def test_values_are_set_in_place_and_comments_stay():
    text = '; mine\n[server]\n  address = 1.1.1.1   ; here\n\n[client ada]\n# hers\nmac = x\n\n[boot]\n'
    server, ada, boot = ini.parse(text, 'x')
    text = ini.set_value(text, server, 'address', '2.2.2.2')
    assert '  address = 2.2.2.2   ; here' in text
    text = ini.set_value(text, ada, 'version', '3')
    assert 'mac = x\nversion = 3\n\n[boot]' in text
    server, ada, boot = ini.parse(text, 'x')
    text = ini.set_value(text, ada, 'version', None)
    assert 'version' not in text and text.startswith('; mine\n') and '# hers' in text


def test_a_missing_file_is_named():
    with pytest.raises(Problem, match='/nowhere/x.ini: No such file'):
        config.load('/nowhere/x.ini')
