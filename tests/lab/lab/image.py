# SPDX-License-Identifier: GPL-2.0
"""Boot media: the base initramfs of a kernel, the boot CD, and the payload CD that brings what is tested."""

import lzma
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import paths, payload

# kmod is the distribution's: busybox's insmod tries twice.
# Loaded at boot, in this order.
LOADED = ['ata_piix', 'sd_mod', 'sr_mod', 'e1000', 'loop', 'msr', 'cpuid', 'evdev']
# There for modprobe.
# libcrc32c, which dm_thin_pool needs, asks for its algorithm by name: no dependency that depmod knows
AVAILABLE = ['kvm_intel', 'nbd', 'null_blk', 'brd', 'ext4', 'isofs', 'vfat', 'dm_mod', 'dm_snapshot', 'dm_thin_pool',
             'crc32c_generic', 'pci_stub', 'uhci_hcd', 'configs', 'netconsole', 'veth', 'tun', 'xhci_pci',
             'ne2k_pci']
PAYLOAD_SIZE = 56 << 20
BIOS = '/usr/share/bochs/BIOS-bochs-latest'


def _dependencies(root):
    deps = {}
    for line in (root / 'modules.dep').read_text().splitlines():
        name, _, rest = line.partition(':')
        deps[name] = rest.split()
    return deps


def _module_name(path):
    return re.sub(r'\.ko(\.xz)?$', '', os.path.basename(path)).replace('-', '_')


def _copy_modules(root, dest):
    """Copy the modules named above with all that they need, uncompressed."""
    deps = _dependencies(root)
    by_name = {_module_name(p): p for p in deps}
    want = set()
    for name in LOADED + AVAILABLE:
        if name in by_name:
            want |= {by_name[name], *deps[by_name[name]]}
    for path in sorted(want):
        out = dest / re.sub(r'\.xz$', '', path)
        out.parent.mkdir(parents=True, exist_ok=True)
        data = (root / path).read_bytes()
        out.write_bytes(lzma.decompress(data) if path.endswith('.xz') else data)
    for name in ('modules.order', 'modules.builtin', 'modules.builtin.modinfo'):
        if (root / name).exists():
            shutil.copy(root / name, dest)


def pack(root, out):
    """A reproducible newc archive of ROOT."""
    names = sorted(str(p.relative_to(root)) for p in Path(root).rglob('*'))
    for p in [root, *Path(root).rglob('*')]:
        os.utime(p, (0, 0), follow_symlinks=False)
    cpio = subprocess.run(['cpio', '-o', '-H', 'newc', '-R', '0:0', '--reproducible', '--quiet'], cwd=root,
                          input='\n'.join(names).encode(), stdout=subprocess.PIPE, check=True).stdout
    out.write_bytes(subprocess.run(['gzip', '-1', '-n'], input=cpio, stdout=subprocess.PIPE, check=True).stdout)


def base_key(series):
    return paths.key(paths.kernel_version(series), LOADED, AVAILABLE, Path(__file__).read_text(),
                     (paths.GUEST / 'init').read_text(), (paths.GUEST / 'agent').read_text())


def base(series):
    """(vmlinuz, initramfs) of a kernel series; the initramfs is built once per content."""
    version = paths.kernel_version(series)
    kernel = paths.KERNELS / series / 'boot' / f'vmlinuz-{version}'
    final = paths.IMAGES / f'base-{series}-{base_key(series)}'
    if not final.exists():
        paths.IMAGES.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=paths.IMAGES))
        root = work / 'root'
        for d in ('bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'root', 'usr/bin', 'usr/sbin', 'sbin'):
            (root / d).mkdir(parents=True)
        shutil.copy('/bin/busybox', root / 'bin/busybox')
        payload.program('/bin/kmod', root, '/usr/sbin/kmod')
        for name in ('insmod', 'rmmod', 'modprobe', 'lsmod', 'modinfo'):
            (root / 'usr/sbin' / name).symlink_to('kmod')
        for name in ('init', 'agent'):
            shutil.copy(paths.GUEST / name, root / name)
        (root / 'init').chmod(0o755)
        (root / 'etc/modules').write_text(''.join(m + '\n' for m in LOADED))
        (root / 'etc/passwd').write_text('root::0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n')
        _copy_modules(paths.KERNELS / series / 'lib/modules' / version, root / 'lib/modules' / version)
        subprocess.run(['depmod', '-b', root, version], check=True)
        pack(root, work / 'initramfs')
        shutil.rmtree(root)
        paths.replace_dir(work, final)
    return kernel, final / 'initramfs'


def grub_cd(kernel, initramfs, cmdline):
    """A CD from which a BIOS boots that by GRUB, its console on the serial line; built once per content."""
    menu = ('serial --unit=0 --speed=115200\nterminal_input serial\nterminal_output serial\nset timeout=0\n'
            f'menuentry Linux {{\nlinux /vmlinuz {cmdline}\ninitrd /initrd\n}}\n')
    out = paths.IMAGES / f'grub-{paths.key(menu, paths.content(kernel), paths.content(initramfs))}.iso'
    if not out.exists():
        with tempfile.TemporaryDirectory(dir=paths.IMAGES) as d:
            root = Path(d) / 'root'
            (root / 'boot/grub').mkdir(parents=True)
            (root / 'boot/grub/grub.cfg').write_text(menu)
            shutil.copy(kernel, root / 'vmlinuz')
            shutil.copy(initramfs, root / 'initrd')
            subprocess.run(['grub-mkrescue', '-d', '/usr/lib/grub/i386-pc', '-o', f'{d}/iso', root], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            os.rename(f'{d}/iso', out)
    return out


def boot_cd(kernel, initramfs, cmdline, out):
    """An ISO that boots KERNEL through isolinux."""
    with tempfile.TemporaryDirectory() as tmp:
        tree = Path(tmp)
        for src in ('/usr/lib/ISOLINUX/isolinux.bin', '/usr/lib/syslinux/modules/bios/ldlinux.c32'):
            shutil.copy(src, tree)
        os.symlink(kernel, tree / 'vmlinuz')
        os.symlink(initramfs, tree / 'initrd')
        (tree / 'isolinux.cfg').write_text(f'default l\nprompt 0\ntimeout 0\nlabel l\nkernel vmlinuz\n'
                                           f'append initrd=initrd {cmdline}\n')
        subprocess.run(['xorriso', '-as', 'mkisofs', '-quiet', '-f', '-o', out, '-b', 'isolinux.bin', '-c', 'boot.cat',
                        '-no-emul-boot', '-boot-load-size', '4', '-boot-info-table', tree],
                       check=True, stderr=subprocess.DEVNULL)


def bios(feature_control, out):
    """The BIOS, which locks VT-x on by "or eax, 5" on FEATURE_CONTROL, made to put in another value."""
    rom = Path(BIOS).read_bytes()
    patched, places = re.subn(rb'(\xb9\x3a\x00\x00\x00\x0f\x32\x66?\x83\xc8)\x05',
                              lambda m: m.group(1) + bytes([feature_control]), rom)
    if places != 2:     # the boot CPU's and the others'
        raise RuntimeError(f'{BIOS}: {places} places that set FEATURE_CONTROL')
    out.write_bytes(patched)


def payload_cd(root, out):
    """A medium of constant size, for a restored guest may have read it, with a tar of ROOT; its bytes in use."""
    with open(out, 'wb') as f:
        if root:
            subprocess.run(['tar', '-C', root, '--owner=0', '--group=0', '-h', '-c', '-f', '-', '.'], stdout=f,
                           check=True)
        used = f.seek(0, os.SEEK_END)
        if used > PAYLOAD_SIZE:
            raise ValueError(f'payload larger than {PAYLOAD_SIZE >> 20} MiB')
        f.truncate(PAYLOAD_SIZE)
    return used
