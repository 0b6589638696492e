#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""build.py: the service image of diskless clients, OUT/vmlinuz and OUT/initrd.img, for `avmm-server image add`.

A stock kernel, and an initial RAM disk that is all that the service partition ever has. Two builds of the same things
are the same to the byte: the archive has neither dates nor owners, its order is that of the names.
"""

import argparse
import hashlib
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent      # of the repository, or of the package
TOP = HERE.parents[1]
IN_PACKAGE = not (TOP / 'Kbuild').exists()
CLIENT = HERE / 'client'
MODPROBE = CLIENT / 'modprobe.conf' if IN_PACKAGE else TOP / 'scripts/modprobe/avmm.conf'

PROGRAMS = ['avmmctl', 'avmm-nbd']                  # of the build directory
TOOLS = ['/usr/bin/kmod', '/usr/sbin/dmsetup']      # the distribution's
KMOD = ['insmod', 'rmmod', 'modprobe', 'lsmod', 'modinfo']
FIRMWARE = ['/usr/share/seabios/bios-256k.bin', '/usr/share/seabios/bios.bin']

# Loaded at start; what belongs to a device comes by its alias.
LOADED = ['msr', 'cpuid', 'nbd', 'loop', 'dm_mod', 'af_packet']
# dm_thin_pool's libcrc32c asks for its algorithm by name, which is no dependency that depmod knows.
ON_DEMAND = ['dm_thin_pool', 'crc32c_generic', 'crc32c_intel']
# Wired cards of desktop PCs, and of emulators.
NETWORK = ['e1000', 'e1000e', 'igb', 'igc', 'r8169', 'tg3', 'alx', 'atl1c', 'sky2', 'atlantic', 'forcedeth', '8139too',
           'pcnet32', 'virtio_net', 'virtio_pci', 'vmxnet3']
# A keyboard for the rescue shell, and the power button.
INPUT = ['atkbd', 'i8042', 'evdev', 'button', 'usbhid', 'hid_generic', 'xhci_pci', 'ehci_pci', 'ohci_pci', 'uhci_hcd']
# Links that are made rather than found: Realtek's chips have their PHY driver by alias.
HELPERS = ['realtek', 'broadcom']


def fail(text):
    sys.exit(f'build.py: {text}')


def module_name(path):
    return re.sub(r'\.ko(\.xz|\.zst)?$', '', os.path.basename(path)).replace('-', '_')


def copy_modules(source, dest, names):
    """The modules NAMES with all that they need, uncompressed: the whole is compressed. Returns those not found."""
    deps = {}
    for line in (source / 'modules.dep').read_text().splitlines():
        path, _, rest = line.partition(':')
        deps[path] = rest.split()
    by_name = {module_name(p): p for p in deps}
    builtin = {module_name(p) for p in (source / 'modules.builtin').read_text().split()}
    want = set()
    for name in names:
        if name in by_name:
            want |= {by_name[name], *deps[by_name[name]]}
    for path in sorted(want):
        out = dest / re.sub(r'\.(xz|zst)$', '', path)
        out.parent.mkdir(parents=True, exist_ok=True)
        data = (source / path).read_bytes()
        out.write_bytes(lzma.decompress(data) if path.endswith('.xz') else data)
    for name in ('modules.order', 'modules.builtin', 'modules.builtin.modinfo'):
        if (source / name).exists():
            shutil.copy(source / name, dest)
    return [n for n in names if n not in by_name and n not in builtin]


def libraries(program):
    out = subprocess.run(['ldd', program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return re.findall(r'(/\S+) \(0x', out.stdout)


def copy_program(source, root, name):
    dest = root / 'usr/bin' / name
    shutil.copy(source, dest)
    dest.chmod(0o755)
    for library in libraries(source):
        out = root / library.lstrip('/')
        if out.exists():
            continue
        out.parent.mkdir(parents=True, exist_ok=True)
        if os.path.basename(library).startswith('libicudata.so'):
            empty_icu_data(library, out)
        else:
            shutil.copy(library, out)


def empty_icu_data(library, out):
    """libxml2, which libnbd parses URIs with, brings 31 MB of Unicode tables that no URI needs."""
    soname = os.path.basename(library)
    symbol = f'icudt{soname.rsplit(".", 1)[1]}_dat'
    subprocess.run(['gcc', '-shared', '-nostdlib', '-Wl,--build-id=none', f'-Wl,-soname,{soname}', '-x', 'c', '-', '-o', out],
                   input=f'const char {symbol}[16];\n', text=True, check=True)


def module(options, version, out):
    subprocess.run(['strip', '-g', '-o', out, options.module], check=True)
    magic = subprocess.run(['/sbin/modinfo', '-F', 'vermagic', out], stdout=subprocess.PIPE, text=True, check=True).stdout
    if magic.split()[:1] != [version]:
        fail(f'{options.module} is for the kernel {magic.split()[0]}, not {version}')
    if options.sign_key:
        sign = next(iter(sorted(Path('/usr/lib').glob('linux-kbuild-*/scripts/sign-file'))), None)
        if not sign:
            fail('sign-file is missing: apt install linux-kbuild-6.1')
        subprocess.run([sign, 'sha256', options.sign_key, options.sign_cert, out], check=True)


def fill_programs(options, root):
    shutil.copy('/bin/busybox', root / 'bin/busybox')
    for name in PROGRAMS:
        copy_program(options.build / name, root, name)
    for tool in TOOLS:
        copy_program(tool, root, os.path.basename(tool))
    for name in KMOD:
        (root / 'usr/sbin' / name).symlink_to('../bin/kmod')
    for file in FIRMWARE:
        (root / file.lstrip('/')).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, root / file.lstrip('/'))


def fill_client(options, root):
    for name in ('client.sh', 'steps.sh', 'config.awk', 'udhcpc.sh'):
        shutil.copy(CLIENT / name, root / 'usr/lib/avmm' / name)
    shutil.copy(CLIENT / 'init.sh', root / 'init')
    for path in (root / 'init', root / 'usr/lib/avmm/udhcpc.sh', root / 'bin/busybox'):
        path.chmod(0o755)
    (root / 'etc/passwd').write_text('root::0:0:root:/root:/bin/sh\n')
    (root / 'etc/modules').write_text(''.join(f'{m}\n' for m in [*LOADED, *options.load]))
    shutil.copy(MODPROBE, root / 'etc/modprobe.d/avmm.conf')


def fill_modules(options, version, root):
    module(options, version, root / 'usr/lib/avmm/avmm.ko')
    names = [*LOADED, *ON_DEMAND, *NETWORK, *INPUT, *HELPERS, *options.load]
    missing = copy_modules(options.kernel / 'lib/modules' / version, root / 'lib/modules' / version, names)
    # Some are built in or gone in some kernel; those that were asked for must be there.
    if set(missing) & {*LOADED, ON_DEMAND[0], *options.load}:
        fail(f'the kernel {version} has no module {", ".join(missing)}')
    subprocess.run(['/sbin/depmod', '-b', root, version], check=True)
    for path in (root / 'lib/modules' / version).glob('modules.*.bin'):
        if path.name.startswith(('modules.symbols', 'modules.builtin.alias')):
            path.unlink()


DIRECTORIES = ('bin', 'etc/modprobe.d', 'proc', 'sys', 'dev', 'tmp', 'run', 'root', 'usr/bin', 'usr/sbin', 'sbin',
               'usr/lib/avmm')


def fill(options, version, root):
    for directory in DIRECTORIES:
        (root / directory).mkdir(parents=True, exist_ok=True)
    fill_programs(options, root)
    fill_client(options, root)
    fill_modules(options, version, root)


LEVEL = 19


def pack(root, out):
    """A newc archive without dates, compressed: zstd takes a tenth of the instructions that xz takes to unpack."""
    for path in [root, *root.rglob('*')]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (0, 0), follow_symlinks=False)
    names = sorted(str(p.relative_to(root)) for p in root.rglob('*'))
    cpio = subprocess.run(['cpio', '-o', '-H', 'newc', '-R', '0:0', '--reproducible', '--quiet'], cwd=root,
                          input='\n'.join(names).encode(), stdout=subprocess.PIPE, check=True).stdout
    zstd = subprocess.run(['zstd', '-q', f'-{LEVEL}', '-T1', '-c'], input=cpio, stdout=subprocess.PIPE, check=True).stdout
    out.write_bytes(zstd)
    return len(cpio)


def kernel_version(kernel):
    found = sorted(p.name[len('vmlinuz-'):] for p in (kernel / 'boot').glob('vmlinuz-*'))
    found = [v for v in found if (kernel / 'lib/modules' / v / 'modules.dep').exists()]
    if not found:
        fail(f'{kernel}: no boot/vmlinuz-VERSION with its lib/modules/VERSION')
    return found[-1]


def options():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--kernel', type=Path, default=Path('/'), help='root of an unpacked kernel package')
    p.add_argument('--kernel-version', help='the newest there')
    p.add_argument('--module', type=Path, help='avmm.ko for this kernel; the one that DKMS made')
    p.add_argument('--build', type=Path, default=Path('/usr/sbin') if IN_PACKAGE else TOP / 'build',
                   help='directory of avmmctl and avmm-nbd')
    p.add_argument('--load', action='append', default=[], help='one more kernel module')
    p.add_argument('--sign-key', help='sign avmm.ko, for kernels that take signed modules only')
    p.add_argument('--sign-cert')
    p.add_argument('out', type=Path)
    found = p.parse_args()
    if bool(found.sign_key) != bool(found.sign_cert):
        p.error('--sign-key and --sign-cert go together')
    return found


def main():
    o = options()
    version = o.kernel_version or kernel_version(o.kernel)
    o.module = o.module or o.kernel / 'lib/modules' / version / 'updates/dkms/avmm.ko'
    for needed in (o.module, '/bin/busybox', *(o.build / p for p in PROGRAMS), *TOOLS, *FIRMWARE):
        if not os.path.exists(needed):
            fail(f'{needed} is missing')
    o.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        root = Path(work) / 'root'
        fill(o, version, root)
        unpacked = pack(root, o.out / 'initrd.img')
    shutil.copyfile(o.kernel / 'boot' / f'vmlinuz-{version}', o.out / 'vmlinuz')
    sizes = {name: (o.out / name).stat().st_size for name in ('vmlinuz', 'initrd.img')}
    sums = {name: hashlib.sha256((o.out / name).read_bytes()).hexdigest() for name in sizes}
    (o.out / 'build.json').write_text(json.dumps({'kernel': version, 'sizes': sizes, 'sha256': sums}, indent=1) + '\n')
    print(f'{o.out}: Linux {version}, kernel {sizes["vmlinuz"] / 1e6:.1f} MB, initial RAM disk {sizes["initrd.img"] / 1e6:.1f} '
          f'MB, {unpacked / 1e6:.1f} MB unpacked')


if __name__ == '__main__':
    main()
