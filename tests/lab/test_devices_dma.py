# SPDX-License-Identifier: GPL-2.0
"""Direct-access devices that do DMA: a partition in the identity window drives one e1000, the service the other one."""

import json

import pytest
from test_disk_boot import SEABIOS
from test_disk_nbd import LIBRARIES, Server, connect, image, without_icu_data

from lab import avmm, guest_image, kernel_log, paths, user, window
from lab.cards import Flood, Peer, devices, dhcp, digest, fetch, line_of, refused, send
from lab.image import grub_cd
from lab.window import BASE, IDENTITY, MEMORY, SIZE

OWN, CARD = '0000:00:02.0', '0000:00:03.0'
AMOUNT = 32 << 20                           # bytes each way
BIOS = '/root/bios.bin'                     # firmware by its file, not by its name
DISK = 64 << 20
BOARD = ('pci: enabled=1, chipset=i440fx, slot1=e1000, slot2=e1000',
         'e1000: card=0, enabled=1, mac=52:54:00:12:34:56, ethmod=slirp, script=none',
         'e1000: card=1, enabled=1, mac=52:54:00:12:34:57, ethmod=slirp, script=RUN/slirp.conf')
SECTION = f'[device0]\npci = {CARD}\ndma = trusted\n'


@pytest.fixture
def peer():
    peer = Peer(AMOUNT)
    yield peer
    peer.close()


@pytest.fixture
def m(lab):
    return lab(extra=(('/usr/bin/avmm-nbd', paths.BUILD / 'avmm-nbd'),
                      (f'{LIBRARIES}/libicudata.so.72', without_icu_data()), (BIOS, SEABIOS),
                      guest_image.build(guest_image.WINDOW)))


@pytest.fixture(scope='class')
def server(tmp_path_factory):
    """An NBD server, for all tests of the class."""
    path = image(tmp_path_factory.mktemp('nbd') / 'disk', size=DISK)
    server = Server('file', path)
    yield server
    server.kill()


def end_while_receiving(m, times, more=IDENTITY['more']):
    """
    Start and end, or reset and end, a guest that masters the bus as the first thing it does, and never finishes an
    interrupt, while packets come in: it always finds the card reset, and nobody writes to its memory afterwards.
    """
    received = 0

    def receives():
        nonlocal received
        received += 1
        m.run(f'until [ $(avmmctl console --dump | grep -c receiving) -ge {received} ]; do sleep 0.05; done; '
              '! avmmctl console --dump | grep FAIL', timeout=120)

    with Flood(m):
        m.run('avmmctl console --dump >/dev/null')
        for n in range(times):
            guest_image.start(m, 'card_receives', kernel=guest_image.WINDOW, more=more, sections=SECTION)
            receives()
            if n % 2:
                m.run('avmmctl reset')
                receives()
            guest_image.stop(m)
            window.untouched(m, 1, guest_image.MEMORY)


class Dma:
    """One machine; the tests build on each other."""
    ends = 20

    def test_window(self, m):
        """The service has been told to leave it alone."""
        m.run('grep -q ^avmm /proc/modules || insmod /root/avmm.ko')
        assert f'{BASE:08x}-{BASE + SIZE - 1:08x} : Reserved' in m.out('cat /proc/iomem')
        assert f'0x{BASE:x} is reserved' in m.out(f'avmmctl device window {SIZE >> 20}M')
        window.untouched(m)

    def test_refusals(self, m, u):
        """Each says why, and nothing is taken."""
        def start(section=SECTION, memory=f'{MEMORY}M', more=''):
            u.start_file(memory=memory, more=more, disks=section)
            return refused(m, 'avmmctl start /root/user.ini')

        assert 'dma = trusted needs memory_mode = identity' in start()
        assert 'the kernel has not left 258.0 MiB alone' in start(memory='258M', more=IDENTITY['more'])
        assert 'can do DMA' in start(section=f'[device0]\npci = {CARD}\n', more=IDENTITY['more'])
        assert 'can reach all memory of this machine' in m.run(f'avmmctl device assign {CARD} --dma trusted').output
        assert 'dma = trusted needs memory_mode = identity' in start(section='')
        m.run(f'avmmctl device release {CARD}')
        assert devices(m)[CARD]['owner'] == 'service'
        assert 'avmm' not in m.out('cat /proc/iomem')

    def test_guest_with_a_disk_from_the_network(self, m, u, server):
        """The service's card carries the guest's disk."""
        assert line_of(m, OWN) != line_of(m, CARD)
        m.run('ip link set eth1 down')
        dhcp(m)
        assert connect(m, server), m.dmesg()
        assert 'it carries the NBD link of nbd0' in refused(m, f'avmmctl device assign {OWN} --dma trusted')
        u.boot(**IDENTITY, disks=f'{SECTION}[disk0]\nbacking = /dev/nbd0\n')
        assert devices(m)[CARD]['live'] and devices(m)[CARD]['guest'] == '00:03.0'
        virtual = ['0000:00:00.0', '0000:00:01.0', '0000:00:01.1', '0000:00:01.3']
        assert u.out('ls /sys/bus/pci/devices').split() == [*virtual, CARD]
        u.disk_drivers()
        u.card_drivers()
        assert u.out(f'readlink /sys/bus/pci/devices/{CARD}/driver').endswith('/e1000')
        assert dhcp(u).startswith('10.0.2.')

    def test_network(self, m, u, peer):
        """The same data both ways while both sides are busy and the disk is written; no access to the card exits."""
        m.run('dd if=/dev/urandom of=/tmp/r bs=1M count=1 2>/dev/null')
        load = m.background('while [ ! -e /tmp/.stop ]; do md5sum /tmp/r >/dev/null; done')
        u.run('(while [ ! -e /tmp/.enough ]; do disk_check -d /dev/disk0 -n 10 || echo failed >/tmp/failed; done; '
              ': >/tmp/.ended) >/tmp/disk.log 2>&1 &')
        before, packets = avmm.user_stats(m), self.packets(u)
        assert fetch(u, peer) == digest(peer.data)
        assert send(u, peer) == digest(peer.data)
        after, card = avmm.user_stats(m), devices(m)[CARD]
        u.run('touch /tmp/.enough; until [ -e /tmp/.ended ]; do sleep 0.2; done; cat /tmp/disk.log; [ ! -e /tmp/failed ]',
              timeout=400)
        m.run('touch /tmp/.stop')
        assert load.wait()
        assert card['bars_refused'] == 0 and card['ports_forwarded'] == 0
        assert card['interrupts'] > 1000 and card['interrupts'] - card['interrupts_done'] <= 1
        # all second-level faults were of virtual devices
        faults = after['exits']['EPT violation'] - before['exits']['EPT violation']
        assert faults <= after['counters']['mmio'] - before['counters']['mmio']
        print(f"{self.packets(u) - packets} packets, {card['interrupts']} interrupts, "
              f"exits {sum(after['exits'].values()) - sum(before['exits'].values())}")
        for reason, count in after['exits'].items():
            print(f"{reason}: {count - before['exits'].get(reason, 0)}")

    @staticmethod
    def packets(u):
        return int(u.out("awk '/eth0:/ { print $3 + $11 }' /proc/net/dev"))

    def test_hostile_configuration(self, m, u):
        """A BAR where it must not be is nowhere, and whatever is written is the guest's own trouble."""
        config = f'/sys/bus/pci/devices/{CARD}/config'
        u.run(f'ip link set eth0 down; rmmod e1000; dd if={config} of=/tmp/config bs=64 count=1')

        def write(offset, value, size=4):
            text = ''.join(f'\\{byte:03o}' for byte in value.to_bytes(size, 'little'))
            u.run(f"printf '{text}' | dd of={config} bs=1 seek={offset} conv=notrunc")

        before = devices(m)[CARD]['bars_refused']
        places = (BASE, BASE + (MEMORY << 20) - 0x20000, 0x100000, 0xa0000, 0xfec00000, 0xfed00000, 0xfee00000, 0xffff0000)
        for place in places:
            write(4, 0, 2)
            write(0x10, place)
            write(4, 2, 2)
        assert devices(m)[CARD]['bars_refused'] == before + len(places)
        u.run(f'for i in $(seq 200); do dd if=/dev/urandom of={config} bs=4 count=1 seek=$((RANDOM % 64)) conv=notrunc; '
              'done 2>/dev/null', timeout=240)
        assert u.out('date') and devices(m)[CARD]['live']
        u.run(f'dd if=/tmp/config of={config} bs=4 seek=1 skip=1 count=15 conv=notrunc')
        u.card_drivers()
        assert dhcp(u).startswith('10.0.2.')

    def test_reset_while_receiving(self, m, u):
        """A guest's reset ends the card's DMA before its memory is loaded anew; the new guest has the card again."""
        with Flood(m):
            before = self.packets(u)
            u.run('sleep 1')
            assert self.packets(u) > before + 10
            m.run('avmmctl reset', timeout=120)
            u.wait_up()
            u.card_drivers()
            assert dhcp(u).startswith('10.0.2.')
            before = self.packets(u)
            u.run('sleep 1')
            assert self.packets(u) > before + 10

    def test_stop_while_receiving(self, m, u):
        """Memory that was the partition's stays as it is, although packets come in."""
        before = kernel_log.warnings(m)
        with Flood(m) as flood:
            u.stop()
            sent = flood.sent
            window.untouched(m)
            assert flood.sent > sent + 10
        assert not devices(m)[CARD]['live']
        assert kernel_log.new_warnings(m, before) == []

    def test_ends_while_receiving(self, m):
        """Again and again."""
        before = kernel_log.warnings(m)
        end_while_receiving(m, self.ends)
        assert kernel_log.new_warnings(m, before) == []

    def test_interrupt_storm(self, m):
        """An interrupt without end takes nothing of the service's share."""
        before = kernel_log.warnings(m)
        guest_image.start(m, 'card_storm', kernel=guest_image.WINDOW, more=IDENTITY['more'], sections=SECTION)
        m.run('until avmmctl console --dump | tail -n 1 | grep -q storm; do sleep 0.05; done', timeout=60)
        first = devices(m)[CARD]['interrupts']
        found = json.loads(m.out('rm -f /tmp/stop; load_cpu -u /tmp/stop >/dev/null & avmmctl stats --json --interval 0.5; '
                                 'touch /tmp/stop; wait', timeout=120))['user']
        last = devices(m)[CARD]
        times = {side: found[f'time_{side}'] for side in ('user', 'service', 'idle', 'monitor')}
        print(f'{last["interrupts"] - first} interrupts, {times}')
        assert last['interrupts'] - first > 500 and last['interrupts'] - last['interrupts_done'] <= 1
        # of what the monitor leaves: two switches for each interrupt are a tenth of the CPU
        both = times['service'] + times['user']
        assert times['service'] / both > (100 - guest_image.USER_SHARE - 1) / 100, times
        guest_image.stop(m)
        assert kernel_log.new_warnings(m, before) == []

    def test_firmware(self, m, u):
        """SeaBIOS and GRUB find the memory that there is, and a kernel that comes from a CD-ROM so drives the card."""
        server = Server('-r', 'file', grub_cd(user.kernel_of(m.guest), user.initramfs(m.guest, 'net'), user.CMDLINE))
        try:
            m.run('avmmctl nbd disconnect nbd0')
            assert connect(m, server), m.dmesg()
            u.boot(**IDENTITY, firmware=BIOS, disks=f'{SECTION}[disk0]\ncdrom = yes\nbacking = /dev/nbd0\n')
            ram = u.out("dmesg | grep 'BIOS-e820.*usable'")
            assert f'{BASE:016x}-' in ram and ram.count('usable') == 2, ram
            u.card_drivers()
            assert dhcp(u).startswith('10.0.2.')
            u.stop()
            m.run('avmmctl nbd disconnect nbd0')
        finally:
            server.kill()

    def test_the_service_drives_it_again(self, m, u, peer):
        before = kernel_log.warnings(m)
        m.run(f'avmmctl device release {CARD}; sleep 1')
        m.run('ip addr flush dev eth0; ip link set eth0 down')
        assert dhcp(m, 'eth1').startswith('10.0.2.')
        assert fetch(m, peer) == digest(peer.data)
        m.run('rmmod avmm', timeout=120)
        assert kernel_log.new_warnings(m, before) == []


class TestDma61(Dma):
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 1024, 'guest': '6.12', 'up': False, 'net': False, 'drivers': 'net',
             'boot_extra': BOARD, 'cmdline': f'+{window.PARAMETER}'}


@pytest.mark.soak('devices-612')
class TestDma612(Dma):
    ends = 200
    shape = {**TestDma61.shape, 'kernel': '6.12', 'guest': '6.1'}
