# SPDX-License-Identifier: GPL-2.0
"""Direct-access devices: the user partition drives a real network card, and the service does not see it."""

import hashlib
import re

import pytest
from test_disk_boot import SEABIOS

from lab import avmm, guest_image, kernel_log
from lab.cards import LISTER, Peer, devices, dhcp, digest, fetch, line_of, lspci, option_rom, refused, send

CARD, OTHER = '0000:00:03.0', '0000:00:02.0'        # an NE2000 without DMA; the service's e1000
ID = '10ec:8029'
ROM = option_rom('/usr/lib/ipxe/qemu/pxe-ne2k_pci.rom', ID)
BOARD = ('pci: enabled=1, chipset=i440fx, slot1=e1000, slot2=ne2k',
         'ne2k: type=pci, enabled=1, mac=52:54:00:12:34:57, ethmod=slirp, ethdev=RUN, script=RUN/slirp.conf, '
         f'bootrom={ROM}',
         'e1000: enabled=1, mac=52:54:00:12:34:56, ethmod=slirp, script=none')
MADE_UP = '0000:e0:{:02x}.0'           # of tests/lab/modules/pci.c
MADE_UP_REFUSED = {0: 'BAR 0 is on the same page as one of 0000:e0:01.0', 1: 'BAR 0 does not begin at a page',
                   2: 'BAR 0 has no address', 3: 'cannot be reset', 6: 'no interrupt line was found for its pin',
                   7: 'its addresses are in use'}
FLR, PM = 4, 5
SIZE = 4 << 20
SECTION = f'[device0]\npci = {CARD}'


@pytest.fixture
def m(lab):
    return lab(extra=((SEABIOS, SEABIOS), guest_image.build(), *LISTER))


@pytest.fixture
def peer():
    peer = Peer(SIZE)
    yield peer
    peer.close()


def exits(m):
    """Port accesses of the guest that exited."""
    return avmm.user_stats(m)['counters']['io']


class Card:
    """One machine; the tests build on each other."""

    def test_refusals(self, m):
        """Each says why."""
        m.run('grep -q ^avmm /proc/modules || insmod /root/avmm.ko')
        assert 'network interface eth0 is up' in refused(m, f'avmmctl device assign {OTHER}')
        assert "board" in refused(m, 'avmmctl device assign 00:01.0')
        assert 'there is no device at' in refused(m, 'avmmctl device assign 00:1e.0')
        assert 'is not assigned' in refused(m, f'avmmctl device release {CARD}')
        assert m.run('avmmctl device assign hda', check=False).status == 2
        m.run('ip link set eth0 down')
        assert 'say dma = iommu, dma = off, or dma = trusted' in refused(m, f'avmmctl device assign {OTHER}')
        assert 'Linux has no IOMMU' in refused(m, f'avmmctl device assign {OTHER} --dma iommu')
        m.run('ip link set eth0 up')

    def test_refusals_of_devices_that_this_machine_has_not(self, m):
        """Each says why, and leaves the device as it was."""
        m.run('insmod /root/tests/avmm_pci.ko')
        for slot, words in MADE_UP_REFUSED.items():
            assert words in refused(m, f'avmmctl device assign {MADE_UP.format(slot)} --dma trusted')
            assert devices(m)[MADE_UP.format(slot)]['owner'] == 'service'
        m.run(f'echo vfio-pci >/sys/bus/pci/devices/{MADE_UP.format(FLR)}/driver_override')
        assert 'reserved for another driver' in refused(m, f'avmmctl device assign {MADE_UP.format(FLR)} --dma off')
        m.run(f'echo >/sys/bus/pci/devices/{MADE_UP.format(FLR)}/driver_override')

    def test_reset_by_pci(self, m):
        """Once when the devices are taken, and after each partition."""
        def resets():
            return [int(m.out(f'cat /sys/module/avmm_pci/parameters/{name}')) for name in ('flr', 'pm')]

        sections = ''.join(f'[device{n}]\npci = {MADE_UP.format(slot)}\ndma = off\n' for n, slot in enumerate((FLR, PM)))
        for n in range(2, 5):
            assert guest_image.run(m, 'msr_read', sections=sections).failed == {}
            assert resets() == [n, n]
        for slot in (FLR, PM):
            m.run(f'avmmctl device release {MADE_UP.format(slot)}')
        assert 'can do DMA' in refused(m, f'avmmctl device assign {MADE_UP.format(FLR)}')
        m.run('rmmod avmm_pci')

    def test_shared_line(self, m):
        """Another driver has a handler on its line, and the card cannot mask its own interrupts."""
        line = line_of(m, CARD)
        m.run('modprobe uhci_hcd')
        assert re.search(rf'^ *{line}:.*uhci_hcd', m.out('cat /proc/interrupts'), re.M)
        assert f'interrupt line {line} is shared' in refused(m, f'avmmctl device assign {CARD}')
        m.run('rmmod uhci_hcd')
        assert devices(m)[CARD]['owner'] == 'service'

    def test_assign_and_release(self, m):
        """Its driver loses it, and gets it back."""
        before = kernel_log.warnings(m)
        m.run('modprobe ne2k-pci')
        assert lspci(m)[CARD] == (ID, 'ne2k-pci')
        m.run(f'avmmctl device assign {CARD}')
        assert lspci(m)[CARD] == (ID, 'avmm') and lspci(m)[OTHER][1] == 'e1000'
        assert m.run('ip link show eth1', check=False).status
        assert devices(m)[CARD]['owner'] == 'user' and devices(m)[CARD]['driver'] == 'ne2k-pci'
        assert line_of(m, CARD) != line_of(m, OTHER)
        assert re.search(r'avmm$', m.out(f'grep "^ *{line_of(m, CARD)}:" /proc/interrupts'))
        assert CARD in m.out('avmmctl status')
        assert 'already' in refused(m, f'avmmctl device assign {CARD}')
        m.run(f'avmmctl device release {CARD}')
        assert lspci(m, CARD) == {CARD: (ID, 'ne2k-pci')} and m.run('ip link show eth1')
        assert kernel_log.new_warnings(m, before) == []

    def test_hidden_rom(self, m, u):
        """If the file says so."""
        u.start(kernel='/root/halt', initrd=None, cmdline=None, memory='8M', more=f'{SECTION}\nrom = no')
        assert devices(m)[CARD]['live'] and devices(m)[CARD]['rom'] == 0
        m.run(f'avmmctl stop --force --timeout 0; avmmctl device release {CARD}')

    def test_guest_sees_it(self, m, u):
        """What is virtual and what is assigned, and nothing else."""
        u.boot(more=SECTION)
        virtual = {'0000:00:00.0': '8086:1237', '0000:00:01.0': '8086:7000', '0000:00:01.1': '8086:7010',
                   '0000:00:01.3': '8086:7113'}
        assert {address: ids for address, (ids, _) in lspci(u).items()} == {**virtual, CARD: ID}
        assert lspci(u)[CARD][1] == 'ne2k-pci' and lspci(m)[CARD][1] == 'avmm'
        resource = f'head -n 1 /sys/bus/pci/devices/{CARD}/resource'
        assert u.out(resource) == m.out(resource)
        assert devices(m)[CARD]['live'] and devices(m)[CARD]['guest'] == '00:03.0'
        assert 'there is a user partition' in refused(m, f'avmmctl device release {CARD}')

    def test_expansion_rom(self, m, u):
        """It has the file's content, and what the guest writes there vanishes."""
        card = f'/sys/bus/pci/devices/{CARD}'
        read = f'echo 1 >{card}/rom; sha256sum <{card}/rom; echo 0 >{card}/rom'
        content = hashlib.sha256(ROM.read_bytes()).hexdigest()
        assert devices(m)[CARD]['rom'] == 128 << 10
        assert u.out(read).split()[0] == content
        base = int(u.out(f'sed -n 7p {card}/resource').split()[0], 16)
        register = ''.join(f'\\{byte:03o}' for byte in (base | 1).to_bytes(4, 'little'))
        before = avmm.user_stats(m)['counters']['stray']
        found = u.out(f"printf '{register}' | dd of={card}/config bs=4 seek=12 conv=notrunc 2>/dev/null; devmem {base}; "
                      f'devmem {base} 32 0; devmem {base}').split()
        assert found[0] == found[1] and found[0].lower().endswith('aa55')
        assert avmm.user_stats(m)['counters']['stray'] == before + 1
        assert u.out(read).split()[0] == content
        assert devices(m)[CARD]['bars_refused'] == 0

    def test_network(self, m, u, peer):
        """DHCP, and the same data both ways; the data path has no exit of its own, and no interrupt is lost."""
        assert dhcp(u).startswith('10.0.2.')
        before = exits(m)
        assert fetch(u, peer) == digest(peer.data)
        assert send(u, peer) == digest(peer.data)
        after, card = exits(m), devices(m)[CARD]
        assert card['ports_forwarded'] == 0 and card['bars_refused'] == 0
        assert card['interrupts'] > 1000 and card['interrupts'] - card['interrupts_done'] <= 1
        # 8 MiB through a 16-bit or 32-bit port are 2 million accesses: what is left is the console and the clock
        assert after - before < 100_000
        packets = int(u.out("awk '/eth0:/ { print $3 + $11 }' /proc/net/dev"))
        print(f"{packets} packets, {card['interrupts']} interrupts, {after - before} port exits")

    def test_bars_moved_by_the_guest(self, m, u):
        """Elsewhere the monitor forwards; where it must not be the card is nowhere; back again it works on."""
        config = f'/sys/bus/pci/devices/{CARD}/config'
        u.run(f'ip link set eth0 down; dd if={config} of=/tmp/bar bs=4 skip=4 count=1')

        def move(text):
            u.run(f"printf '{text}' | dd of={config} bs=4 seek=4 count=1 conv=notrunc")

        move(r'\001\006\000\000')               # on the power management block
        assert devices(m)[CARD]['bars_refused'] == 1
        u.run('date')
        move(r'\001\340\000\000')
        u.run('dd if=/dev/port of=/dev/null bs=1 skip=57344 count=32 2>/dev/null')
        assert devices(m)[CARD]['ports_forwarded'] == 32
        u.run(f'dd if=/tmp/bar of={config} bs=4 seek=4 count=1 conv=notrunc')
        u.run('ip link set eth0 up; ping -c 2 10.0.2.2', timeout=120)

    def test_boot_from_the_network(self, m, u):
        """Firmware finds the ROM, which has its system by DHCP and TFTP through the card."""
        u.stop()
        (m.emulator.run / 'boot.ipxe').write_text('#!ipxe\necho the script of ${net0/mac} runs\nsleep 1000\n')
        u.start(firmware='seabios', memory='64M', more=SECTION)
        m.run("for i in $(seq 60); do avmmctl console --dump | grep -q 'the script of .* runs' && break; sleep 1; done",
              timeout=600)
        shown = m.out('avmmctl console --dump')
        assert re.search('iPXE .*00:03.0', shown) and '52:54:00:12:34:57 runs' in shown, shown
        m.run('avmmctl stop --force --timeout 0')

    def test_the_service_drives_it_again(self, m, u, peer):
        before = kernel_log.warnings(m)
        assert devices(m)[CARD]['owner'] == 'user' and not devices(m)[CARD]['live']
        m.run(f'avmmctl device release {CARD}; modprobe ne2k-pci')
        m.run('ip link set eth0 down; ip link set eth1 name eth9; ip link set eth0 name eth8; ip link set eth9 name eth0')
        assert dhcp(m).startswith('10.0.2.')
        assert fetch(m, peer) == digest(peer.data)
        m.run('rmmod avmm', timeout=120)
        assert kernel_log.new_warnings(m, before) == []


class TestCard61(Card):
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 1024, 'guest': '6.12', 'up': False, 'net': False,
             'drivers': 'pci', 'boot_extra': BOARD}


@pytest.mark.soak('devices-612')
class TestCard612(Card):
    shape = {**TestCard61.shape, 'kernel': '6.12', 'guest': '6.1'}
