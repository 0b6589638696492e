// SPDX-License-Identifier: GPL-2.0-only
/*
 * IDE, both halves, under a driver that writes and reads at random, by all commands, and verifies what it reads. The
 * block device takes its time; the driver loses its patience now and then, resets the channel and tries again; the back
 * half is replaced. What was acknowledged must be there, and no late write of a command that was given up.
 */
#include "ide_machine.h"

#define TABLE	0x1000u
#define BUFFER	0x200000u
#define AREA	512u		/* sectors that are written */
#define MAX	300u		/* in a command: more than the data area holds */

enum how { PIO, MULTIPLE, DMA, HOWS };

static u64 seed;
static u8 model[AREA][512];
static u8 data[MAX * 512];
static u32 generation, resets, successors;

static int begin(void **state)
{
	(void)state;
	machine_build();
	return 0;
}

static int end(void **state)
{
	(void)state;
	machine_free();
	return 0;
}

static bool chance(u32 percent)
{
	return random_below(&seed, 100) < percent;
}

/* The service partition does a little of what it has to. */
static void service(void)
{
	if (chance(60))
		poll_back();
	if (chance(30))
		device_end();
	if (chance(60))
		poll_front();
	if (chance(1) && chance(50)) {
		while (device_end())
			;
		successors++;
		ide_detach(&front);
		memset(areas, 0x33, sizeof(areas));
		attach(++generation);
	}
}

/* As a driver: until the interrupt, or until it gives up. */
static bool wait_interrupt(u8 *status)
{
	u32 patience = (u32)random_below(&seed, chance(25) ? 12 : 400) + 2, i;

	for (i = 0; i < patience; i++) {
		if (lines.level[14]) {
			*status = in(STATUS);
			return true;
		}
		service();
	}
	return false;
}

static void reset(void)
{
	u32 i;

	resets++;
	if (chance(50))
		out(BM_COMMAND, 0);
	while (ide_cancelling(&front))	/* the guest does not run */
		service();
	out(CONTROL, SRST);
	out(CONTROL, 0);
	for (i = 0; in(ALT_STATUS) & BSY; i++) {
		assert_true(i < 100000);
		service();
	}
	assert_int_equal(in(STATUS), READY);
	out(BM_COMMAND, 0);
	out(BM_STATUS, BM_ERROR | INTERRUPT);
	/* its memory is its own again: whatever comes late would be seen */
	if (chance(50))
		memset(guest(BUFFER), 0x44, 0x10000);
}

static bool string(bool writes, u32 *at)
{
	u32 bytes;
	u8 *p = ide_data(&front.channel[0], writes ? IDE_WRITES : IDE_READS, &bytes);

	if (!p)
		return false;
	assert_true(*at + bytes <= sizeof(data));
	memcpy(writes ? p : data + *at, writes ? data + *at : p, bytes);
	ide_data_advance(&front.channel[0], bytes);
	*at += bytes;
	return true;
}

static bool pio(bool writes, u32 lba, u16 count, bool multiple)
{
	u32 at = 0;
	u8 status;

	task_ext(DRIVE0, lba, count, writes ? multiple ? 0x39 : 0x34 : multiple ? 0x29 : 0x24);
	if (writes) {
		while (in(ALT_STATUS) & BSY)
			service();
		if (!string(true, &at))
			return false;
	}
	while (at < count * 512u) {
		if (!wait_interrupt(&status) || (status & ERR) || !(status & DRQ) || !string(writes, &at))
			return false;
	}
	return writes ? wait_interrupt(&status) && status == READY : in(STATUS) == READY;
}

/* Pieces in the guest's memory, now and then no multiples of a sector. */
static u32 describe(u32 count, bool move, bool to_guest)
{
	u32 left = count * 512, n, index = 0, at = BUFFER + (chance(20) ? 2 : 0), done = 0, i;
	u64 layout = seed;

	for (; left; left -= n, index++) {
		n = 512 * (1 + (u32)random_below(&layout, 64));
		if (n > left)
			n = left;
		put_prd(TABLE, index, at, n, n == left);
		for (i = 0; move && i < n; i += 2) {
			u8 *ours = data + done + i, *theirs = guest(at + i);

			memcpy(to_guest ? theirs : ours, to_guest ? ours : theirs, 2);
		}
		done += n;
		at += n + 512 * (u32)random_below(&layout, 3);
	}
	return done;
}

static bool dma(bool writes, u32 lba, u16 count)
{
	u8 direction = writes ? 0 : TO_MEMORY, status, bm;
	u64 before = seed;
	bool good;

	describe(count, writes, true);
	dma_prepare(TABLE, direction);
	task_ext(DRIVE0, lba, count, writes ? 0x35 : 0x25);
	dma_start(direction);
	good = wait_interrupt(&status);
	if (!good)
		return false;
	bm = in(BM_STATUS);
	out(BM_COMMAND, direction);
	out(BM_STATUS, INTERRUPT);
	assert_int_equal(bm, INTERRUPT);
	assert_int_equal(status, READY);
	if (!writes) {
		u64 now_seed = seed;

		seed = before;	/* the same layout once more */
		describe(count, true, false);
		seed = now_seed;
	}
	return true;
}

static void command(void)
{
	bool writes = chance(50);
	enum how how = (enum how)random_below(&seed, HOWS);
	u32 count = 1 + (u32)random_below(&seed, chance(10) ? MAX : 24), i;
	u32 lba = (u32)random_below(&seed, AREA - count);

	for (i = 0; writes && i < count * 512; i++)
		data[i] = (u8)random_u64(&seed);
	while (!(how == DMA ? dma(writes, lba, (u16)count) : pio(writes, lba, (u16)count, how == MULTIPLE)))
		reset();
	for (i = 0; i < count; i++) {
		if (writes)
			memcpy(model[lba + i], data + i * 512, 512);
		else
			assert_memory_equal(model[lba + i], data + i * 512, 512);
	}
}

static void verify(void **state)
{
	u32 i;

	(void)state;
	seed = 0x1234567;
	generation = 1;
	for (i = 0; i < AREA; i++)
		device_get(0, i, model[i]);
	for (i = 0; i < 6000; i++)
		command();
	reset();
	settle();
	for (i = 0; i < AREA; i++) {
		u8 sector[512];

		device_get(0, i, sector);
		assert_memory_equal(sector, model[i], 512);
	}
	/* it was not easy */
	assert_true(resets > 300);
	assert_true(successors > 100);
	assert_int_equal(front.rejected | back->rejected, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(verify, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
