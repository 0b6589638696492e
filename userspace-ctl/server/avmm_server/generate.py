# SPDX-License-Identifier: GPL-2.0-only
"""From the configuration and the store: dnsmasq, nbd-server and nginx configurations, iPXE scripts, clients' files.

DIRECTORY/generated/   what the server's programs read
DIRECTORY/tftp/        iPXE itself, and nothing else
DIRECTORY/http/        boot.ipxe → client/MAC.ipxe → image/NAME/VERSION/… and config/MAC.ini
"""

import ipaddress
import os
import shutil
from pathlib import Path

from . import Problem, files

IPXE = {'undionly.kpxe': '/usr/lib/ipxe/undionly.kpxe', 'snponly.efi': '/usr/lib/ipxe/snponly.efi',
        'ipxe.efi': '/boot/ipxe.efi'}
NOTE = 'Written by avmm-server from {file}; changes are lost.'


def _note(config, mark='#'):
    return f'{mark} {NOTE.format(file=config.file)}\n'


# -- DHCP and TFTP

def dnsmasq(config):
    dhcp = config.dhcp
    lines = ['port=0', f'interface={dhcp.interface}', 'bind-dynamic', 'except-interface=lo', 'log-dhcp',
             f'dhcp-leasefile={config.directory}/generated/leases',
             'enable-tftp', f'tftp-root={config.directory}/tftp',
             '# iPXE says so by option 175; firmware says what it is by option 93',
             'dhcp-match=set:ipxe,175', 'dhcp-match=set:bios,option:client-arch,0',
             'dhcp-match=set:efi,option:client-arch,7', 'dhcp-match=set:efi,option:client-arch,9']
    lines += _full(config) if dhcp.mode == 'full' else _proxy(config)
    return _note(config) + '\n'.join(lines) + '\n'


def _full(config):
    dhcp = config.dhcp
    yield f'dhcp-range={dhcp.range[0]},{dhcp.range[1]},{dhcp.netmask},{dhcp.lease}'
    yield 'dhcp-authoritative'
    yield f'dhcp-option=option:router{f",{dhcp.router}" if dhcp.router else ""}'
    yield f'dhcp-option=option:dns-server{"".join(f",{d}" for d in dhcp.dns)}'
    for client in config.clients:
        yield f'dhcp-host={client.mac},{f"{client.address}," if client.address else ""}{client.name}'
    yield f'dhcp-boot=tag:!ipxe,tag:bios,undionly.kpxe,,{config.address}'
    yield f'dhcp-boot=tag:!ipxe,tag:efi,snponly.efi,,{config.address}'
    yield f'dhcp-boot=tag:ipxe,{config.url()}/boot.ipxe'


def _proxy(config):
    """Another server gives the addresses; ours says only what to boot. Some UEFI firmware does not listen to that."""
    net = ipaddress.IPv4Network(f'{config.address}/{config.dhcp.netmask}', strict=False)
    yield f'dhcp-range={net.network_address},proxy,{net.netmask}'
    yield f'pxe-service=tag:!ipxe,x86PC,"AVMM",undionly.kpxe,{config.address}'
    for arch in ('x86-64_EFI', 'BC_EFI'):
        yield f'pxe-service=tag:!ipxe,{arch},"AVMM",snponly.efi,{config.address}'
    for arch in ('x86PC', 'x86-64_EFI', 'BC_EFI'):
        yield f'pxe-service=tag:ipxe,{arch},"AVMM",{config.url()}/boot.ipxe'
    yield f'dhcp-boot=tag:ipxe,{config.url()}/boot.ipxe'


# -- NBD and HTTP

def export(name, version):
    return f'{name}-{version}'


def nbd_server(config, store):
    """None without disks: nbd-server does not start then."""
    general = ['[generic]', f'\tlistenaddr = {config.address}', f'\tport = {config.nbd_port}', '\tallowlist = true']
    lines = []
    for name in store.names():
        for version in store.versions(name):
            if store.manifest(name, version)['kind'] == 'disk':
                lines += [f'[{export(name, version)}]', f'\texportname = {store.path(name, version)}/disk.img',
                          '\treadonly = true', '\tmultifile = false', '\tcopyonwrite = false']
    return _note(config) + '\n'.join(general + lines) + '\n' if lines else None


def nginx(config):
    generated = config.directory / 'generated'
    return _note(config) + f"""pid {generated}/nginx.pid;
error_log stderr;
worker_processes auto;
events {{ }}
http {{
	access_log {generated}/http.log;
	default_type application/octet-stream;
	sendfile on;
	server {{
		listen {config.address}:{config.http_port};
		root {config.directory}/http;
	}}
}}
"""


# -- iPXE scripts

def boot_script(config):
    """What every iPXE begins with; it may have come by way of another DHCP server, which says nothing about us."""
    unknown = 'chain --replace ${base}/client/default.ipxe || goto failed' if config.boot.unknown == 'boot' else f'''\
echo AVMM: this machine, ${{mac}}, is not a client of {config.address}
echo AVMM: on the server: avmm-server add-client NAME --mac ${{mac}} --image IMAGE
goto ask'''
    return f'''#!ipxe
{_note(config).strip()}
set base {config.url()}
isset ${{ip}} || dhcp || goto nonet
echo AVMM: ${{mac}} has the address ${{ip}}, server {config.address}
:client
chain --replace ${{base}}/client/${{mac:hexhyp}}.ipxe ||
# not there, or no server?
imgfetch --name probe ${{base}}/boot.ipxe || goto failed
imgfree probe
{unknown}
:nonet
echo AVMM: no answer to DHCP on ${{mac}}: cable, switch, DHCP server?
goto ask
:failed
echo AVMM: ${{base}} does not answer: ${{errno}}
:ask
prompt --key s --timeout {config.boot.retry * 1000} \
AVMM: trying again in {config.boot.retry} s; s for a shell || goto again
shell
:again
isset ${{ip}} || dhcp ||
goto client
'''


def kernel_arguments(config, client):
    words = ['initrd=initrd.img', 'console=tty0', 'console=ttyS0,115200', 'quiet', 'panic=30', 'BOOTIF=01-${mac:hexhyp}',
             'kvm.enable_virt_at_load=0', f'avmm.config={config.url()}/config/{client.file_name()}.ini']
    return ' '.join(words + ([client.service_cmdline] if client.service_cmdline else []))


def client_script(config, store, client):
    version = store.resolve(client.service, client.service_version)
    image = store.resolve(client.image, client.version)
    timeout = config.boot.menu_timeout
    menu = f'''\
menu AVMM: {client.name or "unknown client"}, ${{mac}}
item --key a avmm   {client.image} version {image}
item --key l local  The disk of this machine, without AVMM
item --key s shell  iPXE shell
item --key r reset  Restart
choose --default avmm --timeout {timeout * 1000} target && goto ${{target}} || goto shell
''' if timeout else ''
    return f'''#!ipxe
{_note(config).strip()}
set service {config.url()}/image/{client.service}/{version}
:menu
{menu}:avmm
imgfree
echo AVMM: {client.name or "unknown client"}: service image {client.service} version {version}
set what kernel
kernel ${{service}}/vmlinuz {kernel_arguments(config, client)} || goto failed
set what initrd
initrd --name initrd.img ${{service}}/initrd.img || goto failed
set what start
boot || goto failed
:failed
echo AVMM: ${{what}} of service image {client.service} version {version}: error ${{errno}}
echo AVMM: see http://ipxe.org/${{errno}}; is ${{service}} there?
prompt --key s --timeout {config.boot.retry * 1000} \
AVMM: trying again in {config.boot.retry} s; s for a shell || goto again
:shell
shell
goto menu
:again
chain --replace {config.url()}/boot.ipxe || goto avmm
:local
sanboot --no-describe --drive 0x80 || goto menu
:reset
reboot
'''


# -- what a client asks for once its Linux is up

def client_config(config, store, client):
    version = store.resolve(client.image, client.version)
    manifest = store.manifest(client.image, version)
    lines = ['[netboot]', f'name = {client.name or "unknown"}', f'image = {client.image}', f'version = {version}',
             f'on_power_off = {client.on_power_off}', f'console = {"yes" if client.console else "no"}']
    kernel, disk = (client.image, version), []
    if manifest['kind'] == 'disk':
        kernel = (client.kernel, store.resolve(client.kernel, client.kernel_version)) if client.kernel else None
        lines += [f'nbd0 = nbd://{config.address}:{config.nbd_port}/{export(client.image, version)}',
                  f'overlay0 = {client.overlay}']
        disk = ['[disk0]', f'bus = {client.bus}', 'backing = /dev/nbd0']
    lines += ['[partition]', f'memory = {client.memory}', *_boot(config, client, kernel), '[shares]',
              f'user = {client.share}', *disk]
    return _note(config, ';') + '\n'.join(lines) + '\n'


def _boot(config, client, kernel):
    if not kernel:
        return [f'firmware = {client.firmware}']
    base = f'{config.url()}/image/{kernel[0]}/{kernel[1]}'
    words = [f'cmdline = {client.cmdline}'] if client.cmdline else []
    return [f'kernel = {base}/vmlinuz', f'initrd = {base}/initrd.img', *words]


# -- all of it

def _link_images(config, store):
    """Kernels are fetched by HTTP; disks are not."""
    home = config.directory / 'http' / 'image'
    wanted = {(n, str(v)) for n in store.names() for v in store.versions(n) if store.manifest(n, v)['kind'] == 'linux'}
    for found in home.glob('*/*'):
        if (found.parent.name, found.name) not in wanted:
            found.unlink()
    for name, version in sorted(wanted):
        link = home / name / version
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            os.symlink(os.path.relpath(store.path(name, version), link.parent), link)


def _copy_ipxe(config):
    for name, source in IPXE.items():
        dest = config.directory / 'tftp' / name
        dest.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.exists(source):
            continue        # `check` says so
        if not dest.exists() or dest.read_bytes() != Path(source).read_bytes():
            shutil.copyfile(source, dest.with_name(f'.{name}'))
            os.rename(dest.with_name(f'.{name}'), dest)


def outputs(config, store):
    """{path: text}, complete; raises a Problem when anything is missing, before anything was written."""
    generated, http = config.directory / 'generated', config.directory / 'http'
    texts = {generated / 'nginx.conf': nginx(config), http / 'boot.ipxe': boot_script(config)}
    if exports := nbd_server(config, store):
        texts[generated / 'nbd-server.conf'] = exports
    if config.dhcp.mode != 'off':
        texts[generated / 'dnsmasq.conf'] = dnsmasq(config)
    for client in config.bootable():
        try:
            texts[http / 'client' / f'{client.file_name()}.ipxe'] = client_script(config, store, client)
            texts[http / 'config' / f'{client.file_name()}.ini'] = client_config(config, store, client)
        except Problem as e:
            place = client.section.line if client.section else 1
            raise Problem(f'{config.file}:{place}: [{f"client {client.name}" if client.name else "defaults"}]: {e}') \
                from None
    return texts


def apply(config, store):
    """Write what changed, remove what is no more; under the store's lock. Returns the changed paths."""
    texts = outputs(config, store)
    changed = [path for path, text in texts.items() if files.write(path, text)]
    _link_images(config, store)
    _copy_ipxe(config)
    for place in ('http/client', 'http/config'):
        for path in (config.directory / place).glob('[!.]*'):
            if path not in texts:
                path.unlink()
                changed.append(path)
    for stale in (config.directory / 'generated').glob('*.conf'):
        if stale not in texts:
            stale.unlink()
            changed.append(stale)
    return changed
