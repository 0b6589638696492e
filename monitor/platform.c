// SPDX-License-Identifier: GPL-2.0-only
/*
 * The board of the user partition: which device answers where, and who is wired to whom. QEMU's "pc" as far as it goes
 * (docs/devices.md); interrupt lines go to the 8259 pair and to the I/O APIC.
 */
#include <vmx/root/upcalls.h>
#include "partition.h"

#define PORT_UART	0x3f8
#define IRQ_UART	4
#define LINT0		0
#define TSC_DEADLINES	(LAPIC_HAS_X2APIC | LAPIC_HAS_DEADLINE | LAPIC_IS_BSP)

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

	lapic_set_lint(&p->platform.lapic, LINT0, level);
	partition_look(p);
}

/* The guest has finished an ISA interrupt: timers hand out the next queued tick. */
static void irq_done(void *ctx, u32 irq)
{
	struct partition *p = ctx;

	if (irq == PIT_IRQ || irq == ioapic_isa_pin(PIT_IRQ))
		pit_irq_done(&p->platform.pit);
	else if (irq == RTC_IRQ)
		rtc_irq_done(&p->platform.rtc);
}

static void lapic_deliver(void *ctx, u32 vcpu, enum lapic_mode mode, u8 vector)
{
	struct partition *p = ctx;

	/* one vCPU, and whoever comes here is on its CPU: nothing to kick */
	partition_look(p);
	if (mode == LAPIC_NMI)
		p->platform.nmi = true;
	/* the boot CPU would go to the reset vector; it never waits for a SIPI */
	else if (mode == LAPIC_INIT)
		p->platform.reset_wanted = true;
	(void)vcpu;
	(void)vector;
}

static void lapic_eoi(void *ctx, u32 vcpu, u8 vector)
{
	struct partition *p = ctx;

	(void)vcpu;
	ioapic_eoi(&p->platform.ioapic, vector);
}

static const struct lapic_ops lapic_wires = { .deliver = lapic_deliver, .eoi = lapic_eoi };

static void power_off(void *ctx)
{
	struct partition *p = ctx;

	p->platform.off_wanted = true;
	partition_look(p);
}

static void reset(void *ctx)
{
	struct partition *p = ctx;

	p->platform.reset_wanted = true;
	partition_look(p);
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

static void init_interrupts(struct partition *p, u32 tsc_khz, u32 phys_bits)
{
	struct platform *b = &p->platform;
	struct pic_ops pic = { .intr = pic_intr, .done = irq_done, .ctx = p };
	struct lapic_config lapic = {
		.page = (u32 *)p->lapic_page,
		.features = TSC_DEADLINES,
		.tsc_khz = tsc_khz,
		.bus_khz = LOCAL_APIC_BUS_KHZ,
		.phys_bits = phys_bits,
	};
	struct ioapic_config ioapic = {
		.bus = &b->lapics,
		.id = 1,
		.watched = 1u << ioapic_isa_pin(PIT_IRQ) | 1u << RTC_IRQ,
		.ack = irq_done,
		.ctx = p,
	};

	lapic_bus_init(&b->lapics, &lapic_wires, p);
	lapic_init(&b->lapic, &b->lapics, &lapic);
	lapic_virtual_wire(&b->lapic);
	ioapic_init(&b->ioapic, &ioapic);
	pic_init(&b->pic, &pic);
}

void platform_init(struct partition *p, u64 now, u32 tsc_khz, u32 phys_bits)
{
	struct platform *b = &p->platform;
	struct vdev_irq irq = { .set_irq = set_irq, .ctx = p };
	struct pm_ops pm = { .power_off = power_off, .reset = reset, .ctx = p };
	struct pci_ops pci = { .pm_base = pm_moved, .reset = reset, .ctx = p };
	struct uart_ring_ops ring = { .put = console_put, .get = console_get, .ctx = p };

	vdev_clear(b, sizeof(*b));
	bus_init(&b->ports);
	bus_init(&b->mmio);
	init_interrupts(p, tsc_khz, phys_bits);
	pit_init(&b->pit, &irq, tsc_khz, now);
	rtc_init(&b->rtc, &irq, tsc_khz, (s64)p->config.epoch, now);
	rtc_set_memory(&b->rtc, p->ram < AVMM_PCI_HOLE ? p->ram : AVMM_PCI_HOLE,
		       p->ram < AVMM_PCI_HOLE ? 0 : p->ram - AVMM_PCI_HOLE);
	pm_init(&b->pm, &irq, &pm, tsc_khz, true, now);
	hpet_init(&b->hpet, &hpet_wires, p, tsc_khz);
	uart_init(&b->uart, &irq, IRQ_UART, &ring, tsc_khz);
	pci_init(&b->pci, &irq, &pci, AVMM_PM_BASE);

	bus_map(&b->ports, 0, pic_rows, PIC_ROWS, &b->pic);
	bus_map(&b->ports, 0, pit_rows, PIT_ROWS, &b->pit);
	bus_map(&b->ports, 0, rtc_rows, RTC_ROWS, &b->rtc);
	bus_map(&b->ports, 0, pm_port_rows, PM_PORT_ROWS, &b->pm);
	bus_map(&b->ports, 0, pm_keyboard_rows, PM_KEYBOARD_ROWS, &b->pm);
	bus_map(&b->ports, 0, pci_rows, PCI_ROWS, &b->pci);
	bus_map(&b->ports, PORT_UART, uart_rows, UART_ROWS, &b->uart);
	bus_map(&b->mmio, IOAPIC_BASE, ioapic_rows, IOAPIC_ROWS, &b->ioapic);
	bus_map(&b->mmio, HPET_BASE, hpet_rows, HPET_ROWS, &b->hpet);
	init_firmware(p);
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

	b->deadline[timer] = deadline_of(b, timer, now);
	b->devices_next = b->deadline[0];
	for (i = 1; i < PLATFORM_TIMERS; i++)
		b->devices_next = earlier(b->devices_next, b->deadline[i]);
}

void platform_lapic_touched(struct partition *p, u64 now)
{
	struct platform *b = &p->platform;

	b->next = earlier(b->devices_next, lapic_next_deadline(&b->lapic, now));
	partition_look(p);
}

void platform_refresh(struct partition *p, u64 now)
{
	unsigned int i;

	for (i = 0; i < PLATFORM_TIMERS; i++)
		note_deadline(&p->platform, i, now);
	platform_lapic_touched(p, now);
}

void platform_advance(struct partition *p, u64 now)
{
	struct platform *b = &p->platform;

	lapic_advance(&b->lapic, now);
	if (now < b->devices_next) {
		platform_lapic_touched(p, now);
		return;
	}
	pit_advance(&b->pit, now);
	rtc_advance(&b->rtc, now);
	pm_advance(&b->pm, now);
	hpet_advance(&b->hpet, now);
	uart_advance(&b->uart, now);
	fw_cfg_advance(&b->fw_cfg, now);
	platform_refresh(p, now);
}

void platform_touched(struct partition *p, struct bus *bus, u64 now)
{
	struct platform *b = &p->platform;
	const void *const device[PLATFORM_TIMERS] = { &b->pit, &b->rtc, &b->pm, &b->hpet, &b->uart, &b->fw_cfg };
	const void *touched = bus->touched;
	unsigned int i;

	bus->touched = NULL;
	for (i = 0; i < PLATFORM_TIMERS; i++)
		if (device[i] == touched || touched == bus)
			note_deadline(b, i, now);
	platform_lapic_touched(p, now);
}

u64 core_in(u32 port, u32 size)
{
	struct bus *ports = &user.platform.ports;
	u64 now = running_now(), value = bus_read(ports, port, size, now);

	user.page->io_exits++;
	if (ports->touched)
		platform_touched(&user, ports, now);
	return value;
}

void core_out(u32 port, u32 size, u64 value)
{
	struct bus *ports = &user.platform.ports;
	u64 now = running_now();

	user.page->io_exits++;
	bus_write(ports, port, size, value, now);
	if (ports->touched)
		platform_touched(&user, ports, now);
}

/* The offset in the local APIC's page, if the access is there. */
static bool is_lapic(const struct platform *b, u64 gpa, u64 *offset)
{
	u64 base = lapic_mmio_base(&b->lapic);

	*offset = gpa - base;
	return base && *offset < AVMM_PAGE_SIZE;
}

static inline void after_mmio(struct partition *p, u64 now)
{
	struct bus *mmio = &p->platform.mmio;

	if (mmio->unclaimed)
		p->page->stray++;
	mmio->unclaimed = false;
	if (mmio->touched)
		platform_touched(p, mmio, now);
}

u64 platform_mmio_read(struct partition *p, u64 gpa, u32 size)
{
	struct platform *b = &p->platform;
	u64 now = running_now(), value, offset;

	p->page->mmio_exits++;
	if (is_lapic(b, gpa, &offset)) {
		value = lapic_mmio_read(&b->lapic, (u32)offset, size, now);
		platform_lapic_touched(p, now);
		return value;
	}
	value = bus_read(&b->mmio, gpa, size, now);
	after_mmio(p, now);
	return value;
}

void platform_mmio_write(struct partition *p, u64 gpa, u32 size, u64 value)
{
	struct platform *b = &p->platform;
	u64 now = running_now(), offset;

	p->page->mmio_exits++;
	if (is_lapic(b, gpa, &offset)) {
		lapic_mmio_write(&b->lapic, (u32)offset, size, (u32)value, now);
		platform_lapic_touched(p, now);
		return;
	}
	bus_write(&b->mmio, gpa, size, value, now);
	after_mmio(p, now);
}

bool platform_pending(struct partition *p)
{
	struct platform *b = &p->platform;

	return lapic_pending(&b->lapic) != LAPIC_NONE || (pic_pending(&b->pic) && lapic_takes_extint(&b->lapic));
}

int platform_take(struct partition *p)
{
	struct platform *b = &p->platform;
	int vector;

	/* ExtINT goes past the priorities of the local APIC */
	if (pic_pending(&b->pic) && lapic_takes_extint(&b->lapic))
		return pic_ack(&b->pic);
	vector = lapic_pending(&b->lapic);
	if (vector != LAPIC_NONE)
		lapic_accept(&b->lapic, (u8)vector);
	return vector;
}
