// SPDX-License-Identifier: GPL-2.0-only
/*
 * The board of the user partition: which device answers where, and who is wired to whom. QEMU's "pc" as far as it goes
 * (docs/devices.md); interrupt lines go to the 8259 pair and to the I/O APIC.
 */
#include <vmx/root/insn.h>
#include <vmx/root/upcalls.h>
#include "direct.h"
#include "legacy.h"
#include "partition.h"

#define PORT_UART	0x3f8
#define IRQ_UART	4
#define LINT0		0
#define PIRQS		0xfff8u		/* the pins where PCI interrupts may arrive */
#define LAPIC_FEATURES	(LAPIC_HAS_X2APIC | LAPIC_HAS_DEADLINE)
#define LOCK_TRIES	10000000u

/* Each holds it for a bounded time: whoever waits longer waits for a CPU that stopped inside. */
void platform_lock_smp(struct platform *b)
{
	u32 tries = LOCK_TRIES;

	while (__atomic_exchange_n(&b->locked, 1, __ATOMIC_ACQUIRE)) {
		pause();
		if (!--tries)
			core_panic("the user partition's devices stay locked", 0);
	}
}

static bool is_here(const struct user_vcpu *u)
{
	return u->vcpu.cpu == this_cpu();
}

void platform_look_here(void)
{
	struct user_vcpu *u = this_cpu()->user;

	if (u)
		vcpu_look(u);
}

static void reset(void *ctx)
{
	struct partition *p = ctx;

	p->platform.reset_wanted = true;
	platform_look_here();
}

static void set_irq(void *ctx, unsigned int irq, bool level)
{
	struct partition *p = ctx;

	if (!((irq == PIT_IRQ || irq == RTC_IRQ) && hpet_replaces_legacy(&p->platform.hpet))) {
		pic_set_irq(&p->platform.pic, irq, level);
		ioapic_set_line(&p->platform.ioapic, ioapic_isa_pin(irq), level);
	}
}

static bool hpet_edge(void *ctx, u32 pin)
{
	struct partition *p = ctx;
	enum lapic_result result;
	u32 irq = pin == HPET_LEGACY_PIN0 ? PIT_IRQ : pin;

	if (irq < 16) {
		pic_set_irq(&p->platform.pic, irq, false);
		pic_set_irq(&p->platform.pic, irq, true);
	}
	ioapic_set_line(&p->platform.ioapic, pin, false);
	result = ioapic_set_line(&p->platform.ioapic, pin, true);
	return result != LAPIC_COALESCED;
}

static void hpet_level(void *ctx, u32 pin, bool asserted)
{
	struct partition *p = ctx;

	ioapic_set_line(&p->platform.ioapic, pin, asserted);
}

static const struct hpet_ops hpet_wires = { .edge = hpet_edge, .level = hpet_level };

static void pic_intr(void *ctx, bool level)
{
	struct partition *p = ctx;

	/* the vCPU's own CPU looks at pic_pending() in any case: LINT0 matters where it is no ExtINT */
	p->platform.lint0 = level;
	if (is_here(p->vcpu[0]))
		lapic_set_lint(&p->vcpu[0]->lapic, LINT0, level);
	vcpu_kick(p->vcpu[0]);
}

/* The guest has finished an ISA interrupt: timers hand out the next queued tick. */
static void irq_done(void *ctx, u32 irq)
{
	struct partition *p = ctx;

	if (irq == PIT_IRQ || irq == ioapic_isa_pin(PIT_IRQ))
		pit_irq_done(&p->platform.pit);
	else if (irq == RTC_IRQ)
		rtc_irq_done(&p->platform.rtc);
	direct_irq_done(p, irq);
}

static void lapic_deliver(void *ctx, u32 vcpu, enum lapic_mode mode, u8 vector)
{
	struct partition *p = ctx;

	struct user_vcpu *u = p->vcpu[vcpu];

	switch (mode) {
	case LAPIC_NMI:
		vcpu_want(u, WANTED_NMI);
		break;
	case LAPIC_INIT:
		/* the boot CPU would go to the reset vector; it never waits for a SIPI */
		if (u->number)
			vcpu_want(u, WANTED_INIT);
		else
			reset(p);
		break;
	case LAPIC_STARTUP:
		if (!u->number)
			break;
		__atomic_store_n(&u->sipi, vector, __ATOMIC_RELAXED);
		vcpu_want(u, WANTED_SIPI);
		break;
	case LAPIC_FIXED:
		vcpu_notify(u);
		break;
	default:
		vcpu_kick(u);
	}
}

static void lapic_eoi(void *ctx, u32 vcpu, u8 vector)
{
	struct partition *p = ctx;

	(void)vcpu;
	platform_lock(&p->platform);
	ioapic_eoi(&p->platform.ioapic, vector);
	platform_unlock(&p->platform);
}

static const struct lapic_ops lapic_wires = { .deliver = lapic_deliver, .eoi = lapic_eoi };

static void power_off(void *ctx)
{
	struct partition *p = ctx;

	p->off_reason = AVMM_REASON_POWER_OFF;
	p->platform.off_wanted = true;
	platform_look_here();
}

static void pm_moved(void *ctx, u16 base)
{
	struct partition *p = ctx;

	bus_unmap(&p->platform.ports, pm_rows, PM_ROWS, &p->platform.pm);
	if (base)
		bus_map(&p->platform.ports, base, pm_rows, PM_ROWS, &p->platform.pm);
}

/* The rings are shared with the module: its index is checked, never trusted. */
static u32 console_put(void *ctx, const u8 *buf, u32 n)
{
	struct avmm_console *c = ((struct partition *)ctx)->console;
	u32 head = c->out_head, used = head - __atomic_load_n(&c->out_tail, __ATOMIC_ACQUIRE), i;

	if (used > AVMM_CONSOLE_RING)
		used = AVMM_CONSOLE_RING;
	if (n > AVMM_CONSOLE_RING - used)
		n = AVMM_CONSOLE_RING - used;
	for (i = 0; i < n; i++)
		c->out[(head + i) % AVMM_CONSOLE_RING] = buf[i];
	__atomic_store_n(&c->out_head, head + n, __ATOMIC_RELEASE);
	if (n)
		partition_message();
	return n;
}

static u32 console_get(void *ctx, u8 *buf, u32 n)
{
	struct avmm_console *c = ((struct partition *)ctx)->console;
	u32 tail = c->in_tail, filled = __atomic_load_n(&c->in_head, __ATOMIC_ACQUIRE) - tail, i;

	if (filled > AVMM_CONSOLE_RING)
		filled = 0;
	if (n > filled)
		n = filled;
	for (i = 0; i < n; i++)
		buf[i] = c->in[(tail + i) % AVMM_CONSOLE_RING];
	__atomic_store_n(&c->in_tail, tail + n, __ATOMIC_RELEASE);
	if (n)
		partition_message();
	return n;
}

static void debug_line(void *ctx, const char *line)
{
	(void)ctx;
	core_log("user partition: %s", line);
}

/* Linux's memory; partition_create() has looked where it is. */
static void fw_cfg_blob(void *ctx, u32 offset, u8 *to, u32 n)
{
	const struct partition *p = ctx;

	for (; n; n--, offset++)
		*to++ = *(const volatile u8 *)window_map(p->config.fw_cfg + offset);
}

static void init_firmware(struct partition *p)
{
	struct platform *b = &p->platform;
	struct fw_cfg_ops ops = { .blob = fw_cfg_blob, .read = user_dma_read, .write = user_dma_write, .ctx = p };
	struct fw_cfg_machine machine = { .ram = p->ram, .cpus = (u16)p->config.vcpus };
	struct debugport_ops debug = { .line = debug_line };

	fw_cfg_init(&b->fw_cfg, &ops, &machine, (u32)p->config.fw_cfg_size);
	debugport_init(&b->debugport, &debug);
	bus_map(&b->ports, FW_CFG_BASE, fw_cfg_rows, FW_CFG_ROWS, &b->fw_cfg);
	bus_map(&b->ports, DEBUGPORT_BASE, debugport_rows, DEBUGPORT_ROWS, &b->debugport);
}

static void init_lapics(struct partition *p, u32 tsc_khz, u32 phys_bits)
{
	u32 i;

	lapic_bus_init(&p->platform.lapics, &lapic_wires, p);
	for (i = 0; i < p->config.vcpus; i++) {
		struct lapic_config config = {
			.page = (u32 *)p->vcpu[i]->lapic_page,
			.id = i,
			.features = LAPIC_FEATURES | (i ? 0 : LAPIC_IS_BSP) | (p->apic_access ? LAPIC_HAS_HARDWARE : 0),
			.tsc_khz = tsc_khz,
			.bus_khz = LOCAL_APIC_BUS_KHZ,
			.phys_bits = phys_bits,
		};

		lapic_init(&p->vcpu[i]->lapic, &p->platform.lapics, &config);
		p->vcpu[i]->next = CLOCK_NEVER;
	}
	if (!p->config.rom_size)
		lapic_virtual_wire(&p->vcpu[0]->lapic);
}

static void init_interrupts(struct partition *p, u32 tsc_khz, u32 phys_bits)
{
	struct platform *b = &p->platform;
	struct pic_ops pic = { .intr = pic_intr, .done = irq_done, .ctx = p };
	struct ioapic_config ioapic = {
		.bus = &b->lapics,
		.id = avmm_ioapic_id(p->config.vcpus),
		.watched = 1u << ioapic_isa_pin(PIT_IRQ) | 1u << RTC_IRQ | (direct_io_bitmap() ? PIRQS : 0),
		.ack = irq_done,
		.ctx = p,
	};

	init_lapics(p, tsc_khz, phys_bits);
	ioapic_init(&b->ioapic, &ioapic);
	pic_init(&b->pic, &pic);
}

void platform_init(struct partition *p, u64 now, u32 tsc_khz, u32 phys_bits)
{
	struct platform *b = &p->platform;
	struct vdev_irq irq = { .set_irq = set_irq, .ctx = p };
	struct pm_ops pm = { .power_off = power_off, .reset = reset, .ctx = p };
	struct pci_ops pci = { .pm_base = pm_moved, .reset = reset, .ctx = p };
	struct i8042_ops keyboard = { .reset = reset, .ctx = p };
	struct uart_ring_ops ring = { .put = console_put, .get = console_get, .ctx = p };
	bool firmware = p->config.rom_size;

	vdev_clear(b, sizeof(*b));
	bus_init(&b->ports);
	bus_init(&b->mmio);
	init_interrupts(p, tsc_khz, phys_bits);
	pit_init(&b->pit, &irq, tsc_khz, now);
	rtc_init(&b->rtc, &irq, tsc_khz, (s64)p->config.epoch, now);
	rtc_set_memory(&b->rtc, partition_low_ram(), partition_high_ram());
	pm_init(&b->pm, &irq, &pm, tsc_khz, !firmware, now);
	hpet_init(&b->hpet, &hpet_wires, p, tsc_khz);
	uart_init(&b->uart, &irq, IRQ_UART, &ring, tsc_khz);
	pci_init(&b->pci, &irq, &pci, firmware ? 0 : AVMM_PM_BASE);
	i8042_init(&b->i8042, &irq, &keyboard);

	bus_map(&b->ports, 0, pic_rows, PIC_ROWS, &b->pic);
	bus_map(&b->ports, 0, pit_rows, PIT_ROWS, &b->pit);
	bus_map(&b->ports, 0, rtc_rows, RTC_ROWS, &b->rtc);
	bus_map(&b->ports, 0, pm_port_rows, PM_PORT_ROWS, &b->pm);
	legacy_start(p, &irq, reset);
	if (firmware && !legacy_has(AVMM_LEGACY_I8042))
		bus_map(&b->ports, 0, i8042_rows, I8042_ROWS, &b->i8042);
	else if (!legacy_has(AVMM_LEGACY_I8042))
		bus_map(&b->ports, 0, pm_keyboard_rows, PM_KEYBOARD_ROWS, &b->pm);
	bus_map(&b->ports, 0, pci_rows, PCI_ROWS, &b->pci);
	bus_map(&b->ports, PORT_UART, uart_rows, UART_ROWS, &b->uart);
	bus_map(&b->mmio, IOAPIC_BASE, ioapic_rows, IOAPIC_ROWS, &b->ioapic);
	bus_map(&b->mmio, HPET_BASE, hpet_rows, HPET_ROWS, &b->hpet);
	init_firmware(p);
	disk_init(p, &irq);
	direct_start(p);
	platform_refresh(p, now);
}

static u64 earlier(u64 a, u64 b)
{
	return a < b ? a : b;
}

static u64 deadline_of(const struct platform *b, unsigned int timer, u64 now)
{
	switch (timer) {
	case TIMER_PIT:
		return pit_next_deadline(&b->pit, now);
	case TIMER_RTC:
		return rtc_next_deadline(&b->rtc, now);
	case TIMER_PM:
		return pm_next_deadline(&b->pm, now);
	case TIMER_HPET:
		return hpet_next_deadline(&b->hpet, now);
	case TIMER_FW_CFG:
		return fw_cfg_next_deadline(&b->fw_cfg, now);
	default:
		return uart_next_deadline(&b->uart, now);
	}
}

static void note_deadline(struct platform *b, unsigned int timer, u64 now)
{
	unsigned int i;
	u64 next;

	b->deadline[timer] = deadline_of(b, timer, now);
	next = b->deadline[0];
	for (i = 1; i < PLATFORM_TIMERS; i++)
		next = earlier(next, b->deadline[i]);
	b->sooner |= next < b->devices_next;
	/* vCPU 0 may read it at any time */
	__atomic_store_n(&b->devices_next, next, __ATOMIC_RELAXED);
}

static u64 next_deadline(const struct user_vcpu *u, u64 now)
{
	u64 next = lapic_next_deadline(&u->lapic, now);

	return u->number ? next : earlier(user.platform.devices_next, next);
}

void platform_lapic_touched(struct user_vcpu *u, u64 now)
{
	u->next = next_deadline(u, now);
	vcpu_look(u);
}

static bool retime(struct user_vcpu *u)
{
	return u->vcpu.cpu->dedicated ? dedicated_retime(u) : shared_retime(u);
}

/* Of all that a vCPU does to its local APIC this is the most frequent: mostly only the end of its run moves. */
void platform_timer_touched(struct user_vcpu *u, u64 now)
{
	u64 next = next_deadline(u, now), before = u->next;

	u->next = next;
	/* it has to be looked after anyway, or the timer has ended, now or as it was written */
	if (!u->timer.at || next <= now || platform_may_pend(u))
		vcpu_look(u);
	else if (next != before && !retime(u))
		vcpu_look(u);
}

/* Devices moved: vCPU 0 looks after their deadlines. */
static void deadlines_moved(struct partition *p, u64 now)
{
	struct user_vcpu *u = p->vcpu[0];

	if (is_here(u))
		platform_lapic_touched(u, now);
	else if (p->platform.sooner)
		vcpu_kick(u);
	p->platform.sooner = false;
}

void platform_refresh(struct partition *p, u64 now)
{
	unsigned int i;

	for (i = 0; i < PLATFORM_TIMERS; i++)
		note_deadline(&p->platform, i, now);
	deadlines_moved(p, now);
}

/*
 * The partition's time, under the lock: read before, another CPU could have used the devices at a later time meanwhile. The
 * CPUs' time stamp counters may differ by a little, too.
 */
static u64 monotonic(struct platform *b, u64 now)
{
	if (now < b->last)
		now = b->last;
	b->last = now;
	return now;
}

u64 platform_time(struct platform *b)
{
	return b->smp ? monotonic(b, partition_now()) : partition_now();
}

static inline u64 device_time(struct platform *b)
{
	u64 now = running_now();

	return unlikely(b->smp) ? monotonic(b, now) : now;
}

static void advance_devices(struct platform *b)
{
	u64 now;

	platform_lock(b);
	now = platform_time(b);
	pit_advance(&b->pit, now);
	rtc_advance(&b->rtc, now);
	pm_advance(&b->pm, now);
	hpet_advance(&b->hpet, now);
	uart_advance(&b->uart, now);
	fw_cfg_advance(&b->fw_cfg, now);
	platform_refresh(&user, now);
	platform_unlock(b);
}

void platform_advance(struct user_vcpu *u, u64 now)
{
	lapic_advance(&u->lapic, now);
	if (u->number || now < user.platform.devices_next)
		platform_lapic_touched(u, now);
	else
		advance_devices(&user.platform);
}

/* The guest had access to devices on this bus: what may have moved there. */
static void devices_touched(struct partition *p, struct bus *bus, u64 now)
{
	struct platform *b = &p->platform;
	const void *const device[PLATFORM_TIMERS] = { &b->pit, &b->rtc, &b->pm, &b->hpet, &b->uart, &b->fw_cfg };
	const void *touched = bus->touched;
	unsigned int i;

	bus->touched = NULL;
	for (i = 0; i < PLATFORM_TIMERS; i++)
		if (device[i] == touched || touched == bus)
			note_deadline(b, i, now);
	deadlines_moved(p, now);
}

u64 core_in(struct vcpu *v, u32 port, u32 size)
{
	struct bus *ports = &user.platform.ports;
	u64 now, value;

	to_user_vcpu(v)->stats->io_exits++;
	platform_lock(&user.platform);
	now = device_time(&user.platform);
	value = bus_read(ports, port, size, now);
	if (ports->touched)
		devices_touched(&user, ports, now);
	platform_unlock(&user.platform);
	return value;
}

void core_out(struct vcpu *v, u32 port, u32 size, u64 value)
{
	struct bus *ports = &user.platform.ports;
	u64 now;

	to_user_vcpu(v)->stats->io_exits++;
	platform_lock(&user.platform);
	now = device_time(&user.platform);
	bus_write(ports, port, size, value, now);
	if (ports->touched)
		devices_touched(&user, ports, now);
	platform_unlock(&user.platform);
}

/* The offset in the local APIC's page, if the access is there. */
static bool is_lapic(const struct user_vcpu *u, u64 gpa, u64 *offset)
{
	u64 base = lapic_mmio_base(&u->lapic);

	*offset = gpa - base;
	return base && *offset < AVMM_PAGE_SIZE;
}

static inline void after_mmio(struct user_vcpu *u, u64 now)
{
	struct bus *mmio = &user.platform.mmio;

	if (mmio->unclaimed)
		u->stats->stray++;
	mmio->unclaimed = false;
	if (mmio->touched)
		devices_touched(&user, mmio, now);
}

u64 platform_mmio_read(struct user_vcpu *u, u64 gpa, u32 size)
{
	struct platform *b = &user.platform;
	u64 now, value, offset;

	u->stats->mmio_exits++;
	if (is_lapic(u, gpa, &offset)) {
		now = running_now();
		value = lapic_mmio_read(&u->lapic, (u32)offset, size, now);
		platform_lapic_touched(u, now);
		return value;
	}
	platform_lock(b);
	now = device_time(b);
	value = bus_read(&b->mmio, gpa, size, now);
	after_mmio(u, now);
	platform_unlock(b);
	return value;
}

void platform_mmio_write(struct user_vcpu *u, u64 gpa, u32 size, u64 value)
{
	struct platform *b = &user.platform;
	u64 now, offset;

	u->stats->mmio_exits++;
	if (is_lapic(u, gpa, &offset)) {
		now = running_now();
		lapic_mmio_write(&u->lapic, (u32)offset, size, (u32)value, now);
		platform_lapic_touched(u, now);
		return;
	}
	platform_lock(b);
	now = device_time(b);
	bus_write(&b->mmio, gpa, size, value, now);
	after_mmio(u, now);
	platform_unlock(b);
}

/* The 8259's interrupt line ends at vCPU 0. */
bool platform_extint(const struct user_vcpu *u)
{
	return !u->number && pic_pending(&user.platform.pic) && lapic_takes_extint(&u->lapic);
}

bool platform_pending(struct user_vcpu *u)
{
	return lapic_pending(&u->lapic) != LAPIC_NONE || platform_extint(u);
}

int platform_take_extint(struct user_vcpu *u)
{
	int vector = LAPIC_NONE;

	if (!platform_extint(u))
		return vector;
	platform_lock(&user.platform);
	if (pic_pending(&user.platform.pic))
		vector = pic_ack(&user.platform.pic);
	platform_unlock(&user.platform);
	return vector;
}

int platform_take(struct user_vcpu *u)
{
	/* ExtINT goes past the priorities of the local APIC */
	int vector = platform_take_extint(u);

	if (vector != LAPIC_NONE)
		return vector;
	vector = lapic_pending(&u->lapic);
	if (vector != LAPIC_NONE)
		lapic_accept(&u->lapic, (u8)vector);
	return vector;
}
