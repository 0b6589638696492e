# SPDX-License-Identifier: GPL-2.0
"""An installer boots from the disguised CD-ROM: SeaBIOS, isolinux and Debian's kernel read it, from an NBD server."""

from pathlib import Path

import pytest

from lab import avmm, image, paths
from test_disk_boot import SEABIOS
from test_disk_nbd import LIBRARIES, Server, connect, without_icu_data

FILES = Path('/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64')
INI = """[partition]
memory = 384M
firmware = seabios
freeze_after = 60
[shares]
user = 90
[disk0]
backing = /dev/ram0
[disk2]
cdrom = yes
backing = /dev/nbd0
"""


@pytest.fixture
def installer(tmp_path):
    iso = tmp_path / 'installer.iso'
    image.boot_cd(FILES / 'linux', FILES / 'initrd.gz', 'console=ttyS0,115200n8 --- quiet', iso)
    server = Server('-r', 'file', iso)
    yield server
    server.kill()


@pytest.mark.soak('installer')
class TestInstaller:
    shape = {'kernel': '6.1', 'cpus': 1, 'mem': 1024,
             'extra': ((SEABIOS, SEABIOS), ('/usr/bin/avmm-nbd', paths.BUILD / 'avmm-nbd'),
                       (f'{LIBRARIES}/libicudata.so.72', without_icu_data()))}

    def test_first_dialog(self, m, installer):
        avmm.launch(m)
        m.run('modprobe brd rd_nr=1 rd_size=65536')
        result = connect(m, installer)
        assert result, result.output
        m.write_file('/root/user.ini', INI)
        m.run('avmmctl start /root/user.ini')
        # an idle machine's time passes too fast for a server in real time
        busy = m.background('while :; do :; done')
        try:
            m.run(r"until avmmctl console --dump | grep -q '\[!!\] '; do sleep 5; done; sleep 2", timeout=1500)
        finally:
            busy.kill()
        screen = m.out('avmmctl console --dump')
        assert 'ISOLINUX' in screen, screen[:3000]
        # with so little memory the first thing that the installer says is that it has little memory
        assert 'Entering low memory mode' in screen and '<Continue>' in screen, screen[-3000:]
        m.run('avmmctl stop --force --timeout 0; avmmctl nbd disconnect nbd0; rmmod avmm', timeout=240)
