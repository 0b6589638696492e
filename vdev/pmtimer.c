// SPDX-License-Identifier: GPL-2.0-only
/* ACPI fixed hardware and reset ports; see pmtimer.h. ACPI specification 4.8.3, Intel's PIIX4 data sheet 290562. */
#include "pmtimer.h"

enum pm_register { PM1_STS = 0, PM1_EN = 2, PM1_CNT = 4, PM_TMR = 8 };

#define TMR_STS		0x0001
#define BM_STS		0x0010
#define GBL_STS		0x0020
#define PWRBTN_STS	0x0100
#define RTC_STS		0x0400
#define WAK_STS		0x8000
#define STS_BITS	(TMR_STS | BM_STS | GBL_STS | PWRBTN_STS | RTC_STS | WAK_STS)
#define EN_BITS		(TMR_STS | GBL_STS | PWRBTN_STS | RTC_STS)	/* stand where the status bits do */

#define SCI_EN		0x0001
#define SLP_TYP_SHIFT	10
#define SLP_EN		0x2000
#define CNT_BITS	0x1c03	/* SLP_TYP, BM_RLD, SCI_EN; GBL_RLS and SLP_EN read as zero */

#define TMR_MASK	0xffffffu
#define TMR_STS_TICKS	0x800000u	/* every change of the highest bit sets TMR_STS */

#define PORT92_RESET	0x01
#define PORT92_A20	0x02
#define KEYBOARD_RESET	0xfe

static u64 pm_tick(const struct pm *pm, u64 now)
{
	return clock_ticks(&pm->clock, now);
}

static void pm_update_sci(struct pm *pm)
{
	bool level = (pm->control & SCI_EN) && (pm->status & pm->enable & EN_BITS);

	if (level == pm->sci)
		return;
	pm->sci = level;
	vdev_set_irq(&pm->irq, PM_SCI, level);
}

void pm_advance(struct pm *pm, u64 now)
{
	u64 tick = pm_tick(pm, now);

	if (tick <= pm->seen)
		return;
	if (tick / TMR_STS_TICKS != pm->seen / TMR_STS_TICKS)
		pm->status |= TMR_STS;
	pm->seen = tick;
	pm_update_sci(pm);
}

u64 pm_next_deadline(const struct pm *pm, u64 now)
{
	(void)now;
	if (!(pm->control & SCI_EN) || !(pm->enable & (u16)~pm->status & TMR_STS))
		return CLOCK_NEVER;
	return clock_when(&pm->clock, (pm->seen / TMR_STS_TICKS + 1) * TMR_STS_TICKS);
}

/* There is no state between working and off: any other sleep ends at once. */
static void pm_sleep(struct pm *pm, unsigned int type)
{
	if (type == PM_SLEEP_TYPE_S5) {
		pm->ops.power_off(pm->ops.ctx);
		return;
	}
	pm->status |= WAK_STS;
}

static u64 pm1_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	struct pm *pm = ctx;
	u16 value;

	(void)size;
	pm_advance(pm, now);
	switch (offset & ~1u) {
	case PM1_STS:
		value = pm->status;
		break;
	case PM1_EN:
		value = pm->enable;
		break;
	default:
		value = pm->control;
		break;
	}
	return offset & 1 ? value >> 8 : value;
}

static void pm1_write(void *ctx, u32 offset, unsigned int size, u64 value, u64 now)
{
	struct pm *pm = ctx;
	unsigned int shift = offset & 1 ? 8 : 0;
	u16 mask = (u16)((size == 2 ? 0xffffu : 0xffu) << shift);
	u16 bits = (u16)(value << shift) & mask;

	pm_advance(pm, now);
	switch (offset & ~1u) {
	case PM1_STS:
		pm->status &= (u16)~bits;
		break;
	case PM1_EN:
		pm->enable = (u16)((pm->enable & ~mask) | (bits & EN_BITS));
		break;
	default:
		pm->control = (u16)((pm->control & ~mask) | (bits & CNT_BITS));
		if (bits & SLP_EN)
			pm_sleep(pm, pm->control >> SLP_TYP_SHIFT & 7);
		break;
	}
	pm_update_sci(pm);
}

static u64 timer_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	const struct pm *pm = ctx;

	(void)size;
	return (pm_tick(pm, now) & TMR_MASK) >> 8 * (offset - PM_TMR);
}

static u64 zero_read(void *ctx, u32 offset, unsigned int size, u64 now)
{
	(void)ctx, (void)offset, (void)size, (void)now;
	return 0;
}

/* The rest of the block (general purpose events, throttling, device monitors) is there and idle. */
const struct bus_row pm_rows[PM_ROWS] = {
	{ PM1_STS, 2, 1 | 2 | BUS_QUIET, pm1_read, pm1_write },
	{ PM1_EN, 2, 1 | 2 | BUS_QUIET, pm1_read, pm1_write },
	{ PM1_CNT, 2, 1 | 2 | BUS_QUIET, pm1_read, pm1_write },
	{ 0x06, 2, 1 | 2 | BUS_QUIET, zero_read, NULL },
	{ PM_TMR, 4, 1 | 2 | 4 | BUS_QUIET, timer_read, NULL },
	{ 0x0c, 0x34, 1 | 2 | 4 | BUS_QUIET, zero_read, NULL },
};

static u64 apm_read(void *ctx, u32 port, unsigned int size, u64 now)
{
	const struct pm *pm = ctx;

	(void)size, (void)now;
	return pm->apm[port & 1];
}

static void apm_write(void *ctx, u32 port, unsigned int size, u64 value, u64 now)
{
	struct pm *pm = ctx;

	(void)size;
	pm->apm[port & 1] = (u8)value;
	if (port & 1)
		return;
	pm_advance(pm, now);
	if (value == PM_ACPI_ENABLE)
		pm->control |= SCI_EN;
	else if (value == PM_ACPI_DISABLE)
		pm->control &= (u16)~SCI_EN;
	pm_update_sci(pm);
}

/* Fast reset and the A20 gate, which is always open: the bit is only remembered. */
static u64 port92_read(void *ctx, u32 port, unsigned int size, u64 now)
{
	const struct pm *pm = ctx;

	(void)port, (void)size, (void)now;
	return pm->port92;
}

static void port92_write(void *ctx, u32 port, unsigned int size, u64 value, u64 now)
{
	struct pm *pm = ctx;
	bool reset = (value & PORT92_RESET) && !(pm->port92 & PORT92_RESET);

	(void)port, (void)size, (void)now;
	pm->port92 = value & (PORT92_RESET | PORT92_A20);
	if (reset)
		pm->ops.reset(pm->ops.ctx);
}

const struct bus_row pm_port_rows[PM_PORT_ROWS] = {
	{ 0xb2, 2, 1 | BUS_QUIET, apm_read, apm_write },
	{ 0x92, 1, 1 | BUS_QUIET, port92_read, port92_write },
	{ 0x80, 1, 1, NULL, NULL },	/* nobody listens, but every outb_p() writes it: found at once, it is cheap */
};

static void keyboard_write(void *ctx, u32 port, unsigned int size, u64 value, u64 now)
{
	struct pm *pm = ctx;

	(void)port, (void)size, (void)now;
	if (value == KEYBOARD_RESET)
		pm->ops.reset(pm->ops.ctx);
}

const struct bus_row pm_keyboard_rows[PM_KEYBOARD_ROWS] = {
	{ 0x64, 1, 1, NULL, keyboard_write },
};

void pm_power_button(struct pm *pm, u64 now)
{
	pm_advance(pm, now);
	pm->status |= PWRBTN_STS;
	pm_update_sci(pm);
}

void pm_reset(struct pm *pm, u64 now)
{
	pm->seen = pm_tick(pm, now);
	pm->status = 0;
	pm->enable = 0;
	pm->control = pm->acpi_mode ? SCI_EN : 0;
	pm->apm[0] = 0;
	pm->apm[1] = 0;
	pm->port92 = PORT92_A20;
	pm_update_sci(pm);
}

void pm_init(struct pm *pm, const struct vdev_irq *irq, const struct pm_ops *ops, u32 tsc_khz, bool acpi_mode,
	     u64 now)
{
	vdev_clear(pm, sizeof(*pm));
	pm->irq = *irq;
	pm->ops = *ops;
	pm->clock = vdev_clock(tsc_khz, PM_HZ);
	pm->acpi_mode = acpi_mode;
	pm_reset(pm, now);
}
