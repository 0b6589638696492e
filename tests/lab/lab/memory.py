# SPDX-License-Identifier: GPL-2.0
"""What the kernel of a machine has given out, counted so exactly that a leak is not lost in the noise of a load.

The load has ended, and no background command runs. Then what Linux keeps for later goes back as far as it can: the page
cache, freed objects of slabs, address space of vmalloc that is free but not purged yet (loading a module purges it: kernel
stacks of a storm of processes are 95 MiB of it). Free pages in the lists of the CPUs count as free.

docs/lab-notes.md has what is left of the noise, measured without AVMM.
"""

import re

KIB_PER_PAGE = 4
PURGE = 'insmod /root/tests/avmm_spin.ko && rmmod avmm_spin'
DRAIN = f'''
rm -f /tmp/.background.*
for i in 1 2 3; do
    sync; echo 3 >/proc/sys/vm/drop_caches
    for f in /sys/kernel/slab/*/shrink; do echo 1 >$f; done
    {PURGE}
    sleep 0.5
done'''
READ = ('cat /proc/meminfo; echo ==; cat /proc/zoneinfo; echo ==; cat /proc/slabinfo; echo ==; cat /proc/vmallocinfo; echo ==; '
        'cd /sys/kernel/slab; grep . */cpu_partial')
# The rest of the memory in use is of those who take pages by themselves, as AVMM does.
ACCOUNTED = ('Active', 'Inactive', 'Unevictable', 'Buffers', 'Slab', 'KernelStack', 'PageTables', 'SecPageTables', 'Percpu')
UNSTEADY = ('unpurged', 'kernel_clone')     # areas of vmalloc: kernel stacks come and go, and two a CPU are kept

# KiB. Of pages: 876 were seen after 25 cycles under every load.
NOISE = {'used': 2048, 'unaccounted': 2048, 'slab': 512}
LINGERING = re.compile('^(request|tw)_sock')   # TCP remembers a connection for a minute after its end
RECLAIMED = re.compile('dentry|inode|radix_tree')   # caches of what was read: whatever a command looks at stays there


def slab_noise(cache, in_slab, cpus, partial):
    """Objects. The slabs that a CPU has open, one and those in its partial list, count as full: Linux keeps as many there
    as have PARTIAL free objects if each is half empty. Two more may be half empty elsewhere."""
    slabs = cpus * (1 + -(-2 * partial // in_slab)) + 2
    return in_slab * slabs * (4 if RECLAIMED.search(cache) else 1)


class Usage:
    """After a drain. pages: {name: KiB}; slabs: {cache: (objects, objects in a slab)}; vmalloc: {who: areas}."""

    def __init__(self, m):
        m.run(DRAIN, timeout=300)
        meminfo, zoneinfo, slabinfo, vmallocinfo, partial = m.out(READ, timeout=120).split('\n==\n')
        info = {name: int(kib) for name, kib in re.findall(r'^(\S+): +(\d+) kB', meminfo, re.M)}
        free = info['MemFree'] + KIB_PER_PAGE * sum(map(int, re.findall(r'^ +count: +(\d+)', zoneinfo, re.M)))
        used = info['MemTotal'] - free
        self.cpus = m.shape.cpus
        self.pages = {'used': used, 'slab': info['Slab'],
                      'unaccounted': used - sum(info.get(name, 0) for name in ACCOUNTED)}
        self.slabs = {f[0]: (int(f[1]), int(f[4])) for f in map(str.split, slabinfo.splitlines()[2:])}
        self.partial = {name: int(n) for name, n in re.findall(r'^(\S+)/cpu_partial:(\d+)', partial, re.M)}
        self.vmalloc = {}
        for who in ((line.split() + ['?'])[2].split('+')[0] for line in vmallocinfo.splitlines()):
            self.vmalloc[who] = self.vmalloc.get(who, 0) + 1

    def growth(self, before):
        """{what: (how much more, how much of that is noise)}"""
        found = {name: (kib - before.pages[name], NOISE[name]) for name, kib in self.pages.items()}
        for cache, (objects, in_slab) in self.slabs.items():
            if not LINGERING.search(cache):
                noise = slab_noise(cache, in_slab, self.cpus, self.partial.get(cache, 0))
                found[f'slab {cache}'] = objects - before.slabs.get(cache, (0, 0))[0], noise
        for who, areas in self.vmalloc.items():
            if who not in UNSTEADY:
                found[f'vmalloc {who}'] = areas - before.vmalloc.get(who, 0), 0
        return found


def leaks(before, after, control=None):
    """{what: (more, how much of it is usual, noise)} that grew from BEFORE to AFTER. Usual is what grew in CONTROL,
    two usages with the same load and without what is under test."""
    usual = control[1].growth(control[0]) if control else {}
    found = {}
    for what, (more, noise) in after.growth(before).items():
        allowed = max(0, usual.get(what, (0, 0))[0])
        if more > allowed + noise:
            found[what] = more, allowed, noise
    return found
