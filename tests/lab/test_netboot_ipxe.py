# SPDX-License-Identifier: GPL-2.0
"""iPXE's part, on QEMU's PC, where its words can be read and which has no VT-x: what is told when something is missing."""

import shutil

import pytest

from lab import netboot

INI = f'''
[dhcp]
mode = {{mode}}
interface = br0
{{range}}netmask = 255.255.255.0
[boot]
menu_timeout = {{menu}}
retry = 2
[defaults]
image = service
on_power_off = menu
[client pc1]
mac = {netboot.MAC}
'''
RANGE = 'range = 10.99.0.100-10.99.0.199\n'


class Place:
    def __init__(self, directory, mode='full', menu=0):
        self.space = netboot.Namespace()
        self.server = netboot.Server(self.space, directory / 'server',
                                     INI.format(mode=mode, menu=menu, range=RANGE if mode == 'full' else ''))
        self.server.avmm('image', 'add', 'service', netboot.service_image('6.1'))
        self.directory = directory
        self.machines = []

    def pc(self, **more):
        machine = netboot.Quick(self.space, self.directory, **more)
        self.machines.append(machine)
        return machine.start()

    def close(self):
        for machine in self.machines:
            machine.stop()
        self.server.kill()
        self.space.close()


@pytest.fixture
def place(tmp_path, request):
    found = Place(tmp_path, **getattr(request, 'param', {}))
    yield found
    found.close()


def hidden(place, name):
    """A file of the service image that is not there, and its return."""
    link = place.server.root / 'http/image/service/1'
    copy = place.directory / 'image'
    shutil.copytree(link.resolve(), copy)
    copy.chmod(0o755)
    (copy / name).rename(copy / 'hidden')
    target = link.resolve()
    link.unlink()
    link.symlink_to(copy)

    def back():
        link.unlink()
        link.symlink_to(target)

    return back


@pytest.mark.soak('netboot-ipxe')
class TestIpxe:
    def test_what_is_missing_is_named_and_its_return_is_enough(self, place):
        """The image, then VT-x."""
        place.server.start()
        back = hidden(place, 'initrd.img')
        pc = place.pc()
        shown = pc.expect(r'AVMM: initrd of service image service version 1: error \w+[\s\S]*trying again in 2 s')
        assert f'AVMM: {netboot.MAC} has the address 10.99.0.' in shown and 'AVMM: pc1: service image' in shown
        back()
        pc.expect('avmm: service partition: Linux 6.1')
        shown = pc.expect('press Enter for a shell')
        assert 'this machine cannot run AVMM' in shown and 'VT-x' in shown and 'The user partition is not started' in shown
        pc.type('\n')
        pc.expect('# ')
        pc.type('avmmctl check --json | grep verdict\n')
        pc.expect('"verdict": *"refused"')

    def test_no_server_then_a_stranger_then_a_client(self, place):
        """No DHCP at all is for the card's own iPXE to tell; then the server comes, but not for us."""
        pc = place.pc(mac='52:54:00:00:00:77')
        pc.expect('No more network devices|No configuration methods succeeded')
        pc.stop()
        place.server.start()
        pc = place.pc(tap='tap2', mac='52:54:00:00:00:77')
        shown = pc.expect('trying again in 2 s')
        assert 'AVMM: this machine, 52:54:00:00:00:77, is not a client of 10.99.0.1' in shown
        place.server.avmm('add-client', 'late', '--mac', '52:54:00:00:00:77')
        pc.expect('AVMM: late: service image service version 1')
        pc.expect('avmm: service partition')

    @pytest.mark.parametrize('place', [{'menu': 2}], indirect=True)
    def test_menu_with_a_time_out(self, place):
        place.server.start()
        pc = place.pc()
        pc.expect('AVMM: pc1, 52:54:00:12:34:56')
        pc.expect('AVMM: pc1: service image service version 1')
        pc.stop()
        pc = place.pc(tap='tap2')
        pc.expect('iPXE shell')
        pc.type('s')
        pc.expect('iPXE> ')

    @pytest.mark.parametrize('place', [{'mode': 'proxy'}], indirect=True)
    def test_beside_another_dhcp_server(self, place):
        """Which gives the addresses, and knows nothing of booting."""
        place.space.run('ip link add other type veth peer name o0; ip link set o0 master br0 up; ip link set other up; '
                        'ip addr add 10.99.0.254/24 dev other; dnsmasq --conf-file=/dev/null --port=0 --interface=other '
                        '--bind-interfaces --dhcp-range=10.99.0.50,10.99.0.60,255.255.255.0 --dhcp-leasefile=/dev/null '
                        f'--pid-file={place.directory}/other.pid')
        place.server.start()
        pc = place.pc()
        shown = pc.expect('avmm: service partition')
        assert f'AVMM: {netboot.MAC} has the address 10.99.0.5' in shown or 'has the address 10.99.0.60' in shown, shown
        place.space.run(f'kill $(cat {place.directory}/other.pid)')

    def test_uefi(self, place):
        """OVMF's own PXE loads snponly.efi by TFTP, that the rest: up to the service Linux."""
        place.server.start()
        pc = place.pc(uefi=True)
        pc.expect('avmm: service partition', 600)
        pc.expect('this machine cannot run AVMM')
