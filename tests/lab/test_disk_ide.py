# SPDX-License-Identifier: GPL-2.0
"""
The disguised disk, end to end: a stock kernel's ata_piix in the user partition, block devices in the service.

The tests of a class are one story: they share a guest, which is booted once for DMA and, by a reset, once more for PIO.
"""

import json
import re
import tempfile
import time
from pathlib import Path

import pytest

from lab import avmm, kernel_log, paths, user

MIB = 1 << 20
SIZE = 12 * MIB
DISKS = f"""
[disk0]
bus = ide
backing = /dev/dm-0
[disk1]
backing = /dev/ram1
readonly = yes
[disk2]
cdrom = yes
backing = /tmp/first.iso
[disk3]
backing = /tmp/disk3.img
"""
# what libata says of a disk that is not as it should be
TROUBLE = r'ata\d.*(exception|failed|error|timeout|slow to respond|resetting|limiting|frozen)|I/O error|qc timeout'
CRYPT_MODULES = ['aesni-intel', 'xts', 'ecb', 'dm-crypt']
ANSWERED = 'has answered a request of a user partition that is gone'
SUSPENDED = 'dmsetup suspend --noflush --nolockfs d0'


def machine(kernel, guest, cpus):
    return {'kernel': kernel, 'cpus': cpus, 'mem': 1024, 'guest': guest, 'up': False, 'drivers': 'disk',
            'extra': (('/usr/sbin/dmsetup', '/usr/sbin/dmsetup'),)}


def table(first=SIZE // 512, bad=0):
    """d0 is ram0, but for BAD sectors behind the FIRST ones."""
    rest = SIZE // 512 - first - bad
    return (f'0 {first} linear /dev/ram0 0\n' + (f'{first} {bad} error\n' if bad else '') +
            (f'{first + bad} {rest} linear /dev/ram0 {first + bad}\n' if rest else ''))


def set_up(m):
    m.run('set -e; modprobe dm_mod; modprobe brd rd_nr=2 rd_size=12288; export DM_DISABLE_UDEV=1\n'
          f'dmsetup create d0 --table "{table()}"; ls /dev/dm-0\n'
          'dd if=/dev/urandom of=/dev/ram1 bs=64k count=16; dd if=/dev/urandom of=/tmp/first.iso bs=64k count=16\n'
          'dd if=/dev/urandom of=/tmp/second.iso bs=64k count=8; truncate -s 8M /tmp/disk3.img', timeout=120)
    m.run('for i in /tmp/first.iso /tmp/second.iso; do sha256sum <$i >$i.sum; done')


def sha(side, device, more=''):
    """Of a block device, past the cache; or of a file."""
    direct = 'iflag=direct' if device.startswith('/dev/') else ''
    return side.out(f'dd if={device} bs=256k {direct} {more} 2>/dev/null | sha256sum', timeout=240).split()[0]


def reload_table(m, text):
    m.write_file('/tmp/table', text)
    m.run(f'export DM_DISABLE_UDEV=1; dmsetup reload d0 /tmp/table && {SUSPENDED} && dmsetup resume d0')


def counts(u):
    found = avmm.user_stats(u.machine)
    times = {k: found[k] for k in ('time_user', 'time_service', 'time_monitor')}
    return {'all': sum(found['exits'].values()), 'io': found['exits'].get('I/O instruction', 0), **found['counters'],
            **times, **found['exits']}


def per_request(u, options, times=200):
    """What TIMES requests cost, each; that of none at all is taken off."""
    u.run(f'disk_check -d /dev/disk0 {options} -l 1')
    a = counts(u)
    u.run(f'disk_check -d /dev/disk0 {options} -l 1')
    b = counts(u)
    u.run(f'disk_check -d /dev/disk0 {options} -l {times + 1}', timeout=240)
    c = counts(u)
    return {k: (c[k] - b[k] - (b[k] - a.get(k, 0))) / times for k in b}


def disk_status(m, number):
    return next(d for d in json.loads(m.out('avmmctl disk list --json'))['disks'] if d['disk'] == number)


def trouble(u):
    return [line for line in u.out('dmesg').splitlines() if re.search(TROUBLE, line)]


def wait_frozen(m, u, seconds=200):
    m.run(f'for i in $(seq {5 * seconds}); do avmmctl status | grep -q "^user: frozen" && exit 0; sleep 0.2; done; exit 1',
          timeout=240)
    return u.status()['frozen']


def resume(m):
    """Until d0 has answered a request whose partition is gone."""
    before = m.dmesg().count(ANSWERED)
    m.run(f'dmsetup resume d0; until [ $(dmesg | grep -c "{ANSWERED}") -gt {before} ]; do sleep 0.1; done; sleep 0.5')


class HeldMemory:
    """
    Nearly all free memory of SIDE, a machine or its user partition, has a pattern in it meanwhile, and keeps it: what
    was given back is in other hands.
    """

    def __init__(self, side):
        self.side = side

    def __enter__(self):
        self.side.run('rm -f /tmp/.held')
        self.job = self.side.background('mem_pattern -u /tmp/.held')
        self.side.run(f'until grep -q . {self.job.file}.out; do sleep 0.2; done', timeout=400)
        assert self.job.output().startswith('holds '), self.job.output()

    def __exit__(self, kind, *_):
        if kind is None:
            self.side.run('touch /tmp/.held')
            result = self.job.wait(400)
            assert result.status == 0 and 'mem_pattern ok' in result.output, result.output


class Story:
    parameters = ''
    last = 'read'       # the request that is on its way when the partition is stopped by force
    partition = {'more': 'freeze_after = 10'}

    def test_01_found(self, m, u):
        set_up(m)
        avmm.launch(m, parameters=self.parameters)
        u.boot(disks=DISKS, **self.partition)
        u.disk_drivers()
        assert u.out('for n in 0 1 3; do blockdev --getsz /dev/disk$n; done').split() == \
            [str(SIZE // 512), str(SIZE // 512), str(8 * MIB // 512)]
        assert u.out('cat /sys/class/ata_device/dev1.0/dma_mode /sys/class/ata_device/dev2.0/dma_mode').split() == \
            ['XFER_MW_DMA_2', 'XFER_MW_DMA_2']
        assert [(d['disk'], d['cdrom'], d['read_only'], d['size']) for d in u.status()['disks']] == \
            [(0, False, False, SIZE), (1, False, True, SIZE), (2, True, True, MIB), (3, False, False, 8 * MIB)]
        assert disk_status(m, 3)['file'] == '/tmp/disk3.img'
        assert not trouble(u)

    def test_02_write_and_verify(self, m, u):
        u.run('disk_check -d /dev/disk0 -n 40 & disk_check -d /dev/disk3 -n 20 -r 7 && wait $!', timeout=400)
        assert sha(u, '/dev/disk0') == sha(m, '/dev/ram0')
        m.run('sync')
        assert sha(u, '/dev/disk3') == sha(m, '/tmp/disk3.img')
        assert not trouble(u)

    def test_03_exits(self, m, u):
        per = per_request(u, '-m 8')
        print('exits per 4 KiB read:', {k: v for k, v in per.items() if k[0].isupper() and v > 0.01})
        assert per['io'] <= 26.5 and per['disk_messages'] == per['disk_calls'] == 1, per
        self.check_exits(per)

    def check_exits(self, per):
        assert per['all'] <= 30.5, per

    def test_04_read_only(self, m, u):
        before = sha(m, '/dev/ram1')
        assert not u.run('dd if=/dev/urandom of=/dev/disk1 bs=64k count=1 oflag=direct', check=False)
        assert sha(m, '/dev/ram1') == before == sha(u, '/dev/disk1')

    def test_05_discs(self, m, u):
        assert sha(u, '/dev/disk2', 'count=4') == m.out('cat /tmp/first.iso.sum').split()[0]
        m.run('avmmctl disk detach disk2')
        assert not u.run('dd if=/dev/disk2 of=/dev/null bs=2k count=1 iflag=direct', check=False)
        assert disk_status(m, 2)['backing'] is None
        m.run('avmmctl disk attach 2 /tmp/second.iso')
        assert sha(u, '/dev/disk2', 'count=2') == m.out('cat /tmp/second.iso.sum').split()[0]
        for command, why in (('attach 0 /tmp/first.iso', 'while the partition runs'), ('detach 0', 'while the partition'),
                             ('attach 2 /tmp/first.iso', 'is there already'), ('attach 1 /nowhere', 'No such file')):
            result = m.run(f'avmmctl disk {command}', check=False)
            assert result.status == 1 and why in result.output, result.output

    def test_06_errors(self, m, u):
        u.run('dmesg -c >/dev/null')
        reload_table(m, table(20000, 8))
        read = 'dd if=/dev/disk0 of=/dev/null bs=4k iflag=direct count=1 skip='
        assert u.run(f'{read}{19992 // 8}') and u.run(f'{read}{20008 // 8}')
        result = u.run(f'{read}{20000 // 8}', check=False, timeout=240)
        assert not result and 'Input/output error' in result.output, result.output
        assert re.search(r'(UNC|Medium Error|critical medium error)', u.out('dmesg')), u.out('dmesg')
        assert not u.run('dd if=/dev/zero of=/dev/disk0 bs=4k oflag=direct count=1 seek=2500', check=False, timeout=240)
        assert disk_status(m, 0)['counters']['errors'] > 0
        reload_table(m, table())
        assert u.run(f'{read}{20000 // 8}')
        assert 'limiting' not in u.out('dmesg')
        u.run('dmesg -c >/dev/null')

    def test_06_size(self, m, u):
        """Of a device that grows the guest notices nothing; one that shrank is another disk to it, with the new size."""
        resize = 'truncate -s {} /tmp/disk3.img; losetup -c $(losetup -a | grep disk3.img | cut -d: -f1)'
        m.run(resize.format('16M'))
        u.run('disk_check -d /dev/disk3 -n 5 -r 2', timeout=240)
        assert disk_status(m, 3)['size'] == 16 * MIB and not trouble(u)
        m.run(resize.format('4M'))
        read = 'dd if=/dev/disk3 of=/dev/null bs=4k count=1 iflag=direct skip='
        assert u.run(f'{read}1023') and not u.run(f'{read}1024', check=False, timeout=240)
        assert disk_status(m, 3)['size'] == 4 * MIB
        u.run('until dmesg | grep -q " 8192 512-byte logical blocks"; do sleep 0.2; done', timeout=240)
        assert 'IDNF' in u.out('dmesg')
        u.run('dmesg -c >/dev/null')

    def test_07_freeze(self, m, u):
        m.run(f'export DM_DISABLE_UDEV=1; {SUSPENDED}')
        u.run('disk_check -d /dev/disk0 -n 15 -r 3 >/tmp/check 2>&1 &')
        assert 'disk0 (/dev/dm-0) has not answered for' in wait_frozen(m, u)
        before = u.status()['guest_time']
        m.run('avmmctl pause; sleep 60; avmmctl resume', timeout=240)
        assert u.status()['state'] == 'running' and u.status()['frozen'] and u.status()['guest_time'] == before
        assert 'frozen: disk0' in m.dmesg()
        m.run('dmsetup resume d0')
        m.run('until ! avmmctl status | grep -q "^user: frozen"; do sleep 0.1; done')
        u.run('until grep disk_check /tmp/check; do sleep 0.2; done', timeout=400)
        assert u.out('cat /tmp/check').startswith('disk_check ok')
        assert sha(u, '/dev/disk0') == sha(m, '/dev/ram0')
        assert not trouble(u)

    def test_08_controller_reset_with_a_request_on_its_way(self, m, u):
        """The guest gives up after a second of its own, stops the bus master and resets; then it tries again."""
        m.run(f'export DM_DISABLE_UDEV=1; {SUSPENDED}')
        u.run('for t in /sys/block/sd*/device/timeout; do echo 1 >$t; done; '
              'disk_check -d /dev/disk0 -n 15 -r 9 >/tmp/check 2>&1 &')
        wait_frozen(m, u)
        m.run('sleep 5; dmsetup resume d0')
        u.run('until grep disk_check /tmp/check; do sleep 0.2; done', timeout=400)
        assert u.out('cat /tmp/check').startswith('disk_check ok'), u.out('dmesg')
        assert re.search(r'ata1.*(frozen|timeout|reset)', u.out('dmesg')), u.out('dmesg')
        assert sha(u, '/dev/disk0') == sha(m, '/dev/ram0')
        u.run('dmesg -c >/dev/null')

    def test_09_reset_with_a_request_on_its_way(self, m, u):
        """The guest that comes back must not get the late data of the old one, wherever it looks."""
        m.run(f'export DM_DISABLE_UDEV=1; {SUSPENDED}')
        u.send('dd if=/dev/disk0 of=/dev/null bs=128k count=8 iflag=direct')
        m.run('until avmmctl disk list --json | grep -q \'"waiting_ms": [1-9]\'; do sleep 0.1; done')
        m.run(f': >{user.OUT}; avmmctl reset', timeout=120)
        assert 'the memory of the request stays taken' in m.dmesg()
        u.wait_up()
        assert u.status()['resets'] == 1
        with HeldMemory(u):
            resume(m)
        u.disk_drivers('force=pio4')
        assert u.out('cat /sys/class/ata_device/dev1.0/dma_mode').strip() in ('', '0')

    def test_10_pio(self, m, u):
        u.run('disk_check -d /dev/disk0 -n 20 -r 5', timeout=600)
        assert sha(u, '/dev/disk0') == sha(m, '/dev/ram0')
        per = per_request(u, '-m 8', times=50)
        assert per['io'] <= 40.5 and per['disk_messages'] == per['disk_calls'] == 1, per
        assert not trouble(u)

    def test_11_force_with_a_request_on_its_way(self, m, u):
        """Late data must not come into memory that Linux has got back, nor what is there now go to the disk."""
        u.run('for k in $(ls -r /modules/disk); do k=${k#*-}; busybox rmmod ${k%.ko} || exit 1; done', timeout=240)
        u.disk_drivers()
        assert u.out('cat /sys/class/ata_device/dev1.0/dma_mode') == 'XFER_MW_DMA_2'
        u.run('yes "the guest of before" | head -c 131072 >/tmp/before')
        expected = u.out('head -c 4096 /tmp/before | sha256sum') if self.last == 'write' else \
            m.out('head -c 4096 /dev/ram0 | sha256sum')
        before = kernel_log.warnings(m)
        m.run(f'export DM_DISABLE_UDEV=1; {SUSPENDED}')
        u.send({'read': 'dd if=/dev/disk0 of=/dev/null bs=128k count=8 iflag=direct',
                'write': 'dd if=/tmp/before of=/dev/disk0 bs=128k oflag=direct'}[self.last])
        wait_frozen(m, u)
        u.stop()
        assert not avmm.status(m)['last_reason'] == 'none'
        assert m.run('rmmod avmm', check=False).status, 'the module must stay while a request has its pages'
        with HeldMemory(m):
            resume(m)
        assert m.out('dd if=/dev/dm-0 bs=4k count=1 iflag=direct 2>/dev/null | sha256sum') == expected
        m.run('rmmod avmm; dmsetup remove d0', timeout=120)
        assert not [w for w in kernel_log.new_warnings(m, before) if 'has not answered' not in w]


class TestDisk61(Story):
    shape = machine('6.1', '6.12', 1)


class TestDisk612(Story):
    shape = machine('6.12', '6.1', 2)
    last = 'write'


def crypt_files(series):
    """cryptsetup and the modules for it, which the machine does not have otherwise, as extra files."""
    out = paths.IMAGES / f'crypt-{series}-{paths.key(paths.kernel_version(series), CRYPT_MODULES)}'
    if not out.exists():
        paths.IMAGES.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=paths.IMAGES))
        for n, name in enumerate(user.module_order(series, CRYPT_MODULES)):
            (work / f'{n:02}-{Path(name).name}').write_bytes(user.module_bytes(series, name))
        paths.replace_dir(work, out)
    return (('/usr/sbin/cryptsetup', '/usr/sbin/cryptsetup'),
            *((f'/root/crypt/{p.name}', p) for p in sorted(out.iterdir())))


class TestServices:
    """
    What stands behind the disguise in the service, in one guest: overlays of golden images in memory (disk0) and in files
    (disk1), and encryption (disk3).
    """
    shape = {**machine('6.1', '6.12', 1), 'extra': (*machine('6.1', '6.12', 1)['extra'], *crypt_files('6.1'))}
    disks = ('[disk0]\nbacking = /dev/ram0\noverlay = ram\noverlay_size = 8M\n'
             '[disk1]\nbacking = /dev/ram1\noverlay = /tmp/overlay\noverlay_size = 2M\n'
             '[disk3]\nbacking = /dev/mapper/secret\n')

    def test_01_found(self, m, u):
        m.run('set -e; modprobe crc32c_generic; modprobe dm_thin_pool; modprobe brd rd_nr=3 rd_size=12288; mkdir /tmp/overlay\n'
              'for i in 0 1; do dd if=/dev/urandom of=/dev/ram$i bs=64k count=64 conv=fsync; done; syslogd -O /tmp/messages')
        m.run('for i in /root/crypt/*.ko; do insmod $i 2>/dev/null; done; head -c 64 /dev/urandom >/tmp/key\n'
              'export DM_DISABLE_UDEV=1; '
              'cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 512 --key-file /tmp/key /dev/ram2 secret')
        avmm.launch(m)
        u.boot(disks=self.disks)
        u.disk_drivers()
        assert (sha(u, '/dev/disk0'), sha(u, '/dev/disk1')) == (sha(m, '/dev/ram0'), sha(m, '/dev/ram1'))

    def test_02_encrypted(self, m, u):
        """The guest sees its data, the device beneath has nothing of them."""
        u.run('yes "a secret of the guest" | head -c 65536 >/tmp/secret; '
              'dd if=/tmp/secret of=/dev/disk3 bs=64k oflag=direct && '
              'dd if=/dev/disk3 bs=64k count=1 iflag=direct | cmp - /tmp/secret')
        assert m.out('dd if=/dev/mapper/secret bs=64k count=1 iflag=direct 2>/dev/null | grep -ac "a secret of the guest"') == \
            str(65536 // len('a secret of the guest\n'))
        assert m.out('dd if=/dev/ram2 bs=64k count=192 2>/dev/null | grep -ac "secret" || true') == '0'
        u.run('disk_check -d /dev/disk3 -n 15', timeout=400)
        assert sha(u, '/dev/disk3') == sha(m, '/dev/mapper/secret') != sha(m, '/dev/ram2')

    def test_03_overlay_grows(self, m, u):
        """More is written than it takes: the guest waits, and goes on without an error when there is more room."""
        golden = sha(m, '/dev/ram1')
        u.run('disk_check -d /dev/disk1 -n 60 >/tmp/check 2>&1 &')
        assert 'has not answered' in wait_frozen(m, u)
        assert disk_status(m, 1)['overlay'] == {'used': 2 * MIB, 'size': 2 * MIB}
        result = m.run('avmmctl disk reset disk1 /tmp/overlay', check=False)
        assert result.status == 1 and 'in use' in result.output
        m.run('set -e; export DM_DISABLE_UDEV=1; truncate -s 24M /tmp/overlay/disk1.data\n'
              "losetup -c $(losetup -a | grep disk1.data | cut -d: -f1)\n"
              "dmsetup table avmm-disk1-pool | sed 's/^0 [0-9]*/0 49152/' >/tmp/table\n"
              'dmsetup reload avmm-disk1-pool /tmp/table; dmsetup resume avmm-disk1-pool')
        m.run('until ! avmmctl status | grep -q "^user: frozen"; do sleep 0.1; done')
        u.run('until grep disk_check /tmp/check; do sleep 0.2; done', timeout=400)
        assert u.out('cat /tmp/check').startswith('disk_check ok')
        assert sha(m, '/dev/ram1') == golden
        assert disk_status(m, 1)['counters']['errors'] == 0 and not trouble(u)

    def test_04_full_overlay_is_announced(self, m, u):
        golden, before = sha(m, '/dev/ram0'), sha(u, '/dev/disk1')
        u.run('dd if=/dev/urandom of=/dev/disk0 bs=64k count=64 oflag=direct')
        assert disk_status(m, 0)['overlay'] == {'used': 4 * MIB, 'size': 8 * MIB}
        m.run('sleep 6; ! grep "disk0: its overlay" /tmp/messages')
        u.run('dd if=/dev/urandom of=/dev/disk0 bs=64k seek=64 count=54 oflag=direct')
        m.run('for i in $(seq 100); do grep "disk0: its overlay of 8.0 MiB is nearly full (9[0-9] %)" /tmp/messages && exit; '
              'sleep 0.2; done; exit 1')
        assert u.status()['frozen'] is None
        u.send('dd if=/dev/zero of=/dev/disk0 bs=64k count=192 oflag=direct')
        assert 'disk0 (/dev/dm-' in wait_frozen(m, u)
        assert disk_status(m, 0)['overlay']['used'] == 8 * MIB
        assert disk_status(m, 0)['counters']['errors'] == 0
        u.stop()
        assert sha(m, '/dev/ram0') == golden
        m.run('until ! dmsetup info avmm-disk1; do sleep 0.2; done')
        assert m.out('ls /tmp/overlay').split() == ['disk1.data', 'disk1.meta'] and before != sha(m, '/dev/ram1')
        m.run('avmmctl disk reset disk1 /tmp/overlay; ! ls /tmp/overlay/*')


@pytest.mark.soak('disk-cost')
class TestCost:
    """What docs/performance.md says, on a disk in the service's memory; time is in instructions."""
    shape = machine('6.1', '6.1', 1)

    def measure(self, u, how):
        for options, name in (('-m 8', '4 KiB read'), ('-m 8 -w', '4 KiB write'), ('-m 128', '64 KiB read'),
                              ('-m 128 -w', '64 KiB write')):
            per = per_request(u, options)
            busy = per['time_user'] + per['time_service'] + per['time_monitor']
            print(f'{how} {name}: io {per["io"]:.1f} all {per["all"]:.1f} messages {per["disk_messages"]:.2f} '
                  f'calls {per["disk_calls"]:.2f} busy {busy:.0f} (user {per["time_user"]:.0f} service '
                  f'{per["time_service"]:.0f} monitor {per["time_monitor"]:.0f}) switches {per["switches"]:.1f} '
                  f'injected {per["injected"]:.1f}; ' +
                  ', '.join(f'{k} {v:.2f}' for k, v in per.items() if k[0].isupper() and v > 0.05))
            assert per['disk_messages'] == per['disk_calls'] == 1
        return per

    def test_cost(self, m, u):
        m.run('modprobe brd rd_nr=1 rd_size=32768; dd if=/dev/zero of=/dev/ram0 bs=1M count=32')
        avmm.launch(m)
        u.boot(disks='[disk0]\nbacking = /dev/ram0\n')
        u.disk_drivers()
        self.measure(u, 'DMA')
        u.run('cd /modules/disk; for n in sr_mod sd_mod ata_piix libata; do busybox rmmod $n || exit 1; done; '
              'busybox insmod $(ls *libata*) force=pio4; busybox insmod $(ls *ata_piix*); busybox insmod $(ls *sd_mod*); '
              'sleep 1', timeout=240)
        u.run('ls /sys/bus/scsi/devices; ln -sf $(ls -d /sys/block/sd* | sed s,.*/,,) /dev/disk0')
        self.measure(u, 'PIO')
