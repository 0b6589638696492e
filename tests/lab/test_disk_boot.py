# SPDX-License-Identifier: GPL-2.0
"""Firmware: stock SeaBIOS in the user partition, from the reset vector to a boot sector that it reads by INT 13h."""

import re
import subprocess
import sys

from lab import avmm, paths, user
from test_user_life import launched  # noqa: F401

SEABIOS = '/usr/share/seabios/bios-256k.bin'
BANNER = 'SeaBIOS (version '
NOTHING = 'No bootable device'
DISK = '/dev/ram0'

# Says that it runs, reads the second sector and says what is there, writes it to the third, and stops.
BOOT_SECTOR = r'''
	.code16
start:	xor %ax, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov $0x7c00, %sp
	mov $hello, %si
	call print
	mov $0x0201, %ax
	mov $0x0002, %cx
	xor %dh, %dh
	mov $0x8000, %bx
	int $0x13
	jc fail
	mov $0x8000, %si
	call print
	mov $0x0301, %ax
	mov $0x0003, %cx
	xor %dh, %dh
	int $0x13
	jc fail
	mov $done, %si
1:	call print
2:	hlt
	jmp 2b
fail:	mov $failed, %si
	jmp 1b
print:	push %dx		# whose lower half is the drive
5:	lodsb
	test %al, %al
	jz 4f
	mov %al, %ah
	mov $0x3fd, %dx
3:	in %dx, %al
	test $0x20, %al
	jz 3b
	mov $0x3f8, %dx
	mov %ah, %al
	out %al, %dx
	jmp 5b
4:	pop %dx
	ret
hello:	.asciz "boot sector runs: "
done:	.asciz " and it is written\r\n"
failed:	.asciz "INT 13h failed\r\n"
	.org 510
	.word 0xaa55
	.asciz "the second sector is read,"
	.org 1024
'''


def boot_disk():
    # the two sectors, assembled once per content
    out = paths.IMAGES / f'boot-sector-{paths.key(BOOT_SECTOR)}'
    if not out.exists():
        paths.IMAGES.mkdir(parents=True, exist_ok=True)
        object_file = out.with_suffix('.o')
        subprocess.run(['as', '--32', '-o', object_file, '-'], input=BOOT_SECTOR, text=True, check=True)
        subprocess.run(['ld', '-m', 'elf_i386', '-Ttext', '0x7c00', '-e', '0x7c00', '--oformat', 'binary', '-o', out,
                        object_file], check=True)
    return out


def wait_console(m, text, count=1, timeout=240):
    """Until the console has shown TEXT that many times; all that it showed."""
    m.run(f'until [ $(avmmctl console --dump | grep -c "{text}") -ge {count} ]; do sleep 0.2; done', timeout=timeout)
    return m.out('avmmctl console --dump')


def refused(m, *options):
    result = m.run(f'avmmctl start --memory 64M {" ".join(options)}', check=False)
    assert result.status == 1, result
    return result.output


class TestFirmware:
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 512, 'extra': ((SEABIOS, SEABIOS), ('/root/boot', boot_disk()))}

    def test_seabios(self, m, launched):  # noqa: F811
        """It finds memory, tables and console, and misses nothing but a disk; after a reset once more."""
        m.write_file(user.INI, '[partition]\nmemory = 128M\nfirmware = seabios\n[shares]\nuser = 90\n')
        m.run(f'avmmctl start {user.INI}')
        console = wait_console(m, NOTHING)
        assert console.count(BANNER) == 1, console
        log = m.out('avmmctl log')
        for line in (r'Running on QEMU \(i440fx\)', r'fw_cfg DMA interface supported', r'len 0x0+8000000 \[RAM\]',
                     r'Found 1 cpu\(s\) max supported 1', r'Using pmtimer, ioport 0x608', r'Copying SMBIOS',
                     r'table\(50434146\)=0x07ff.*via xsdt', r'Found 1 serial ports', r'2: 00000000000f0000.*RESERVED'):
            assert re.search(line, log), (line, log)
        assert not re.search(r'[Ww]arning|internal error|[Tt]imeout at|nobody is|No room', log), log
        m.run('avmmctl reset')
        assert wait_console(m, NOTHING, 2).count(BANNER) == 2
        assert avmm.status(m)['partitions'][-1]['resets'] == 1

    def test_idle(self, m, launched):  # noqa: F811
        """A BIOS that waits leaves the CPU to the service."""
        m.run('avmmctl start --memory 64M --firmware seabios')
        wait_console(m, NOTHING)
        times = avmm.user_stats(m, 5)
        spent = {k: times[f'time_{k}'] for k in ('user', 'service', 'idle', 'monitor')}
        assert spent['user'] < 0.05 * sum(spent.values()), spent

    def test_boot_sector(self, m, launched):  # noqa: F811
        """From the disguised disk: read and written by the BIOS."""
        m.run(f'modprobe brd rd_nr=1 rd_size=8192; dd if=/root/boot of={DISK} conv=fsync 2>/dev/null')
        m.write_file(user.INI, '[partition]\nmemory = 64M\nfirmware = seabios\n[shares]\nuser = 90\n'
                               f'[disk0]\nbacking = {DISK}\n')
        m.run(f'avmmctl start {user.INI}')
        console = wait_console(m, r'written\|failed')
        assert 'boot sector runs: the second sector is read, and it is written' in console, console
        m.run('avmmctl stop --force --timeout 0')
        assert m.out(f'dd if={DISK} bs=512 skip=2 count=1 2>/dev/null | head -c 26') == 'the second sector is read,'

    def test_refusals(self, m, launched):  # noqa: F811
        assert 'there is `kernel` too' in refused(m, '--firmware seabios --kernel /root/avmm.ko')
        assert '/no/file: No such file' in refused(m, '--firmware /no/file')
        assert 'less than 64 KiB' in refused(m, '--firmware /agent')
        assert 'package `ovmf` has it' in refused(m, '--firmware ovmf')
        assert '`firmware` is missing, or `kernel`' in refused(m)


def test_demo():
    """make demo, behind its set-up: a Debian image from an NBD server to login, and back to the bare machine."""
    result = subprocess.run([sys.executable, paths.TOP / 'scripts/demo/demo.py'], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, result.stdout
    assert 'Everything worked' in result.stdout
