// SPDX-License-Identifier: GPL-2.0-only
/*
 * IDE, both halves: resets with commands on their way, orphans, a back half that goes and one that follows, and a ring
 * whose other side makes no sense.
 */
#include "ide_machine.h"

#define TABLE	0x1000u
#define BUFFER	0x200000u

static u16 words[256];

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

static void start_read(u32 lba)
{
	put_prd(TABLE, 0, BUFFER, 512, true);
	dma_prepare(TABLE, TO_MEMORY);
	task(DRIVE0, lba, 1, 0xc8);
	dma_start(TO_MEMORY);
}

static void reset_of_an_idle_channel(void **state)
{
	(void)state;
	out(DEVICE, DRIVE1);
	out(CONTROL, SRST);
	assert_int_equal(in(STATUS), BSY);
	out(CONTROL, 0);
	assert_int_equal(in(STATUS), READY);	/* drive 0 is selected */
	assert_int_equal(in(LBA_MID), 0);
	out(DEVICE, DRIVE1);
	assert_int_equal(in(STATUS), 0);
	assert_int_equal(in(LBA_MID), 0x14);
	assert_int_equal(in(LBA_HIGH), 0xeb);
	assert_false(lines.level[14]);
	assert_int_equal(kicks, 0);
	assert_int_equal(front.channel[0].phase, IDE_IDLE);
}

/* In a PIO transfer: nothing has to be told to anybody. */
static void reset_in_data_phases(void **state)
{
	(void)state;
	task(DRIVE0, 1, 2, 0x20);
	settle();
	in_word(DATA);
	out(CONTROL, SRST);
	assert_false(lines.level[14]);
	out(CONTROL, 0);
	assert_int_equal(in(STATUS), READY);
	assert_int_equal(in_word(DATA), 0xffff);
	task(DRIVE0, 1, 2, 0x30);
	out_word(DATA, 1);
	out(CONTROL, SRST);
	out(CONTROL, 0);
	assert_int_equal(in(STATUS), READY);
	assert_int_equal(kicks, 1);
	task(DRIVE0, 1, 1, 0xc8);
	out(CONTROL, SRST);
	out(CONTROL, 0);
	dma_start(TO_MEMORY);
	assert_int_equal(kicks, 1);
}

/* The disk hangs. The reset ends as soon as the back half took note; data do not arrive late; new commands wait. */
static void reset_with_a_read_on_its_way(void **state)
{
	u32 i;

	(void)state;
	start_read(100);
	poll_back();
	assert_int_equal(device.queued, 1);
	out(CONTROL, SRST);
	out(BM_COMMAND, 0);
	out(CONTROL, 0);
	assert_int_equal(in(STATUS), BSY);
	assert_true(ide_cancelling(&front));
	poll_back();
	assert_ptr_equal(device.withdrawn, device.queue[0]);
	poll_front();
	assert_false(ide_cancelling(&front));
	assert_int_equal(in(STATUS), READY);
	/* what does not touch the medium is answered */
	out(COMMAND, 0xec);
	poll_back();
	poll_front();
	assert_int_equal(take_interrupt(), READY | DRQ);
	for (i = 0; i < 256; i++)
		words[i] = in_word(DATA);
	assert_int_equal(words[255] & 0xff, 0xa5);
	/* a write to the same sector waits for the old command */
	memset(words, 0x5a, sizeof(words));
	task(DRIVE0, 100, 1, 0x30);
	write_words(words, 256);
	poll_back();
	assert_int_equal(device.queued, 1);
	assert_int_equal(in(STATUS), BSY);
	assert_true(device_end());
	assert_int_equal(guest(BUFFER)[0], 0);
	settle();
	assert_int_equal(take_interrupt(), READY);
	assert_memory_equal(device_find(0, 100)->data, words, 512);
}

/* The memory that a write is taken from is the guest's again as well. */
static void reset_with_a_write_on_its_way(void **state)
{
	(void)state;
	put_prd(TABLE, 0, BUFFER, 512, true);
	dma_prepare(TABLE, 0);
	task(DRIVE0, 100, 1, 0xca);
	dma_start(0);
	poll_back();
	out(CONTROL, SRST);
	assert_false(ide_back_idle(back));
	poll_back();
	assert_ptr_equal(device.withdrawn, device.queue[0]);
	settle();
	assert_true(ide_back_idle(back));
	out(DEVICE - 0x80, DRIVE0);
	out(COMMAND - 0x80, 0xe7);
	poll_back();
	assert_false(ide_back_idle(back));	/* the other channel */
	settle();
	assert_true(ide_back_idle(back));
}

/* An old write ends before the new one is sent, whatever the order of resets. */
static void old_write_never_overtakes(void **state)
{
	unsigned int i;

	(void)state;
	memset(words, 0x11, sizeof(words));
	task(DRIVE0, 7, 1, 0x30);
	write_words(words, 256);
	poll_back();
	/* more resets than tags; in between commands that are quick, and one that waits */
	for (i = 0; i < 20; i++) {
		out(CONTROL, SRST);
		out(CONTROL, 0);
		poll_back();
		poll_front();
		assert_int_equal(in(STATUS), READY);
		out(COMMAND, 0xec);
		if (i % 3 == 0) {
			poll_back();
			poll_front();
			in(STATUS);
		}
		task(DRIVE0, 7, 1, 0x20);
		assert_true(device.queued == 1);
	}
	out(CONTROL, SRST);
	out(CONTROL, 0);
	poll_back();
	poll_front();
	memset(words, 0x22, sizeof(words));
	task(DRIVE0, 7, 1, 0x30);
	write_words(words, 256);
	poll_back();
	assert_int_equal(device.queued, 1);
	settle();
	assert_int_equal(take_interrupt(), READY);
	assert_int_equal(device_find(0, 7)->data[0], 0x22);
	assert_int_equal(front.channel[0].orphans | front.channel[0].cancelling, 0);
	assert_int_equal(front.rejected | back->rejected, 0);
}

/* The completion was under way already when the guest gave up. */
static void reset_meets_completion(void **state)
{
	(void)state;
	start_read(100);
	poll_back();
	device_end();
	out(CONTROL, SRST);
	out(CONTROL, 0);
	poll_front();
	assert_int_equal(in(STATUS), BSY);	/* the cancellation is still unanswered */
	settle();
	assert_int_equal(in(STATUS), READY);
	assert_false(lines.level[14]);
	assert_int_equal(front.channel[0].orphans, 0);
	start_read(101);
	settle();
	assert_int_equal(take_interrupt(), READY);
	assert_pattern(guest(BUFFER), 0, 101, 1);
}

/* Neither data that go by a buffer, nor parts that were to follow: of a command given up nothing happens any more. */
static void given_up_halfway(void **state)
{
	u32 i;

	(void)state;
	for (i = 0; i < 3; i++) {
		put_prd(TABLE, 0, BUFFER + 2, 512, true);	/* by the buffer */
		dma_prepare(TABLE, TO_MEMORY);
		if (i == 0) {
			task(DRIVE0, 100, 1, 0xc8);
			dma_start(TO_MEMORY);
		} else {
			task_ext(DRIVE0, 0, i == 1 ? 16 : 1000, i == 1 ? 0x29 : 0x42);
		}
		memset(areas[0], 0x99, sizeof(areas[0]));
		poll_back();
		out(CONTROL, SRST);
		out(CONTROL, 0);
		poll_back();
		assert_int_equal(device.requests, i + 1);
		assert_null(device.withdrawn);		/* it is not in the guest's memory */
		while (device_end())
			;
		assert_int_equal(device.requests, i + 1);
		assert_true(ide_back_idle(back));
		assert_int_equal(guest(BUFFER + 2)[0] | guest(BUFFER + 2)[1], 0);
		assert_int_equal(areas[0][0], 0x99);
		settle();
		assert_int_equal(in(STATUS), READY);
	}
}

static void srst_is_held(void **state)
{
	(void)state;
	start_read(100);
	poll_back();
	out(CONTROL, SRST);
	settle();
	assert_int_equal(in(STATUS), BSY);
	out(COMMAND, 0xec);
	settle();
	assert_int_equal(in(STATUS), BSY);
	out(CONTROL, 0);
	assert_int_equal(in(STATUS), READY);
}

/* As Linux's error handler starts: the bus master is stopped in the middle. */
static void bus_master_stopped(void **state)
{
	(void)state;
	start_read(100);
	poll_back();
	out(BM_COMMAND, 0);
	assert_true(ide_cancelling(&front));
	assert_int_equal(in(BM_STATUS), 0);
	settle();
	assert_false(ide_cancelling(&front));
	assert_int_equal(guest(BUFFER)[0], 0);
	assert_false(lines.level[14]);
	assert_int_equal(in(STATUS), BSY);	/* as a real drive that waits for its data */
	out(CONTROL, SRST);
	out(CONTROL, 0);
	assert_int_equal(in(STATUS), READY);
	start_read(100);
	settle();
	assert_int_equal(take_interrupt(), READY);
	assert_pattern(guest(BUFFER), 0, 100, 1);
}

/* A PIO command is none of the bus master's business. */
static void stop_does_not_touch_pio(void **state)
{
	(void)state;
	dma_prepare(TABLE, TO_MEMORY);
	dma_start(TO_MEMORY);
	task(DRIVE0, 9, 1, 0x20);
	out(BM_COMMAND, 0);
	assert_false(ide_cancelling(&front));
	settle();
	assert_int_equal(take_interrupt(), READY | DRQ);
}

static void device_reset(void **state)
{
	(void)state;
	out(DEVICE, DRIVE1);
	out(LBA_MID, 0);
	out(COMMAND, 0xa0);
	out_word(DATA, 0);
	out(COMMAND, 0x08);
	assert_int_equal(in(STATUS), 0);
	assert_int_equal(in(LBA_MID), 0x14);
	assert_int_equal(in(DEVICE) & 0x10, 0x10);
	assert_false(lines.level[14]);
	/* of the CD-ROM while the disk works */
	task(DRIVE0, 4, 1, 0x20);
	out(DEVICE, DRIVE1);
	out(COMMAND, 0x08);
	assert_int_equal(in(STATUS), 0);
	assert_int_equal(in(LBA_MID), 0x14);
	settle();
	out(DEVICE, DRIVE0);
	assert_int_equal(take_interrupt(), READY | DRQ);
	/* a disk does not know it */
	read_words(words, 256);
	out(COMMAND, 0x08);
	settle();
	assert_int_equal(take_interrupt(), READY | ERR);
}

static void device_reset_in_flight(void **state)
{
	static const u16 packet[6] = { 0x28, [4] = 1 };

	(void)state;
	out(DEVICE, DRIVE1);
	out(FEATURES, 0);
	out(COMMAND, 0xa0);
	write_words(packet, 6);
	assert_int_equal(in(STATUS), BSY);
	out(COMMAND, 0x08);
	assert_int_equal(in(STATUS), BSY);
	out(DEVICE, DRIVE0);
	assert_int_equal(in(STATUS), BSY);	/* takes no command yet */
	out(LBA_LOW, 0x42);
	settle();
	assert_int_equal(in(STATUS), READY);
	assert_int_equal(in(LBA_LOW), 0x42);	/* but was not reset itself */
	out(DEVICE, DRIVE1);
	assert_int_equal(in(STATUS), 0);
	assert_int_equal(in(LBA_HIGH), 0xeb);
}

static void partition_reset(void **state)
{
	(void)state;
	out(DEVICE, DRIVE0);
	out(FEATURES, 0x82);
	out(COMMAND, 0xef);
	settle();
	in(STATUS);
	out(CONTROL, NIEN);
	start_read(100);
	poll_back();
	ide_reset(&front);
	assert_int_equal(in(STATUS), BSY);
	settle();
	assert_int_equal(in(STATUS), READY);
	assert_int_equal(guest(BUFFER)[0], 0);
	pci_config_write(&pci, config(0x20), 0, 4, BM);
	assert_int_equal(bus_read(&ports, BM, 4, now), 0);
	task(DRIVE0, 1, 1, 0x30);	/* settings are those of power-on: the write cache is on */
	write_words(words, 256);
	settle();
	assert_int_equal(take_interrupt(), READY);
	assert_int_equal(device.fuas, 0);
}

static void lose_back(void)
{
	device.queued = 0;	/* it ended its requests before it went */
	ide_detach(&front);
	memset(&page, 0xff, sizeof(page));	/* nothing of the old pages may be used */
	memset(areas, 0xff, sizeof(areas));
}

/* A successor gets the commands that were not finished. */
static void successor(void **state)
{
	u8 none[2] = { 0, 0 };
	u8 *const data[2] = { none, none };

	(void)state;
	out(COMMAND, 0xe5);
	settle();
	assert_int_equal(take_interrupt(), READY);
	start_read(100);
	poll_back();
	lose_back();
	assert_int_equal(in(STATUS), BSY);
	page.generation = 0;
	assert_false(ide_attach(&front, &page, data));
	attach(2);
	assert_int_equal(kicks, 3);
	settle();
	assert_int_equal(take_interrupt(), READY);
	assert_pattern(guest(BUFFER), 0, 100, 1);
	assert_false(ide_attach(&front, &page, data));	/* the same once more is nobody new */
	assert_int_equal(in(STATUS), READY);
}

static void successor_and_pio(void **state)
{
	(void)state;
	/* a read that has no data yet is sent again */
	task(DRIVE0, 50, 1, 0x20);
	poll_back();
	lose_back();
	attach(2);
	settle();
	assert_int_equal(take_interrupt(), READY | DRQ);
	/* data that lay in the shared pages are lost: the guest's driver repeats */
	lose_back();
	assert_int_equal(take_interrupt(), READY | ERR);
	assert_int_equal(in(ERROR), ATA_ABRT);
	/* a write that comes meanwhile is collected later */
	task(DRIVE0, 51, 1, 0x30);
	assert_int_equal(in(STATUS), BSY);
	attach(3);
	assert_int_equal(in(STATUS), READY | DRQ);
	memset(words, 0x77, sizeof(words));
	write_words(words, 256);
	lose_back();
	assert_int_equal(take_interrupt(), READY | ERR);
	attach(4);
	settle();
	assert_null(device_find(0, 51));
	task(DRIVE0, 51, 1, 0x30);
	lose_back();
	assert_int_equal(take_interrupt(), READY | ERR);
	task(DRIVE0, 51, 1, 0x20);
	assert_int_equal(in(STATUS), BSY);
	attach(5);
	settle();
	assert_int_equal(take_interrupt(), READY | DRQ);
	read_words(words, 256);
	assert_pattern((u8 *)words, 0, 51, 1);
}

/* Settings are with the front. */
static void successor_knows_the_settings(void **state)
{
	(void)state;
	out(DEVICE, DRIVE0);
	out(COUNT, 4);
	out(COMMAND, 0xc6);
	settle();
	in(STATUS);
	lose_back();
	attach(2);
	out(COMMAND, 0xec);
	settle();
	in(STATUS);
	read_words(words, 256);
	assert_int_equal(words[59], 0x0104);
}

static void reset_without_back(void **state)
{
	(void)state;
	start_read(100);
	poll_back();
	out(CONTROL, SRST);
	out(CONTROL, 0);
	assert_int_equal(in(STATUS), BSY);
	lose_back();
	assert_int_equal(in(STATUS), READY);	/* there is nobody any more who could be late */
	start_read(200);
	out(CONTROL, SRST);
	out(CONTROL, 0);
	assert_int_equal(in(STATUS), READY);
	attach(2);
	settle();
	assert_int_equal(in(STATUS), READY);
	assert_int_equal(device.queued, 0);
	assert_false(ide_cancelling(&front));
}

static void forge(struct avmm_disk_completion c)
{
	page.completion[page.completion_head++ % AVMM_DISK_RING] = c;
	poll_front();
}

/* What the ring says is checked on a copy. */
static void senseless_completions(void **state)
{
	struct avmm_disk_completion c = { .generation = 1, .message = AVMM_DISK_COMMAND };
	u32 rejected = 0;

	(void)state;
	forge(c);	/* nothing was asked */
	assert_int_equal(front.rejected, ++rejected);
	task(DRIVE0, 1, 1, 0x20);
	c.generation = 2;
	forge(c);
	c.generation = 1;
	c.tag = 8;
	forge(c);
	c.tag = 1;
	forge(c);
	c.tag = 4;
	forge(c);
	c.tag = 0;
	c.message = AVMM_DISK_CANCEL;
	forge(c);
	c.message = 0;
	forge(c);
	assert_int_equal(front.rejected, rejected += 6);
	assert_int_equal(in(STATUS), BSY);
	page.completion_head += AVMM_DISK_RING + 1;
	poll_front();
	assert_int_equal(front.rejected, ++rejected);
	page.completion_head -= AVMM_DISK_RING + 1;
	/* more than the area holds, no block, busy for ever: an end without data */
	c.message = AVMM_DISK_COMMAND;
	c.flags = AVMM_DISK_DATA_IN;
	c.block = 512;
	c.bytes = AVMM_DISK_DATA_SIZE + 1;
	c.regs.now[AVMM_ATA_STATUS] = 0xff;
	c.regs.now[AVMM_ATA_DEVICE] = 0xff;
	forge(c);
	assert_int_equal(take_interrupt() & (BSY | DRQ), 0);
	assert_int_equal(in(DEVICE) & 0x10, 0);
	task(DRIVE0, 1, 1, 0x20);
	c.bytes = 512;
	c.block = 0;
	forge(c);
	assert_int_equal(take_interrupt() & DRQ, 0);
	task(DRIVE0, 1, 1, 0x20);
	c.flags = AVMM_DISK_MORE;
	forge(c);
	assert_int_equal(take_interrupt() & (BSY | DRQ), 0);
	task(DRIVE0, 1, 1, 0x20);
	c.flags = AVMM_DISK_DATA_IN;
	c.bytes = 5;
	c.block = ~0u;
	forge(c);
	take_interrupt();
	assert_int_equal(in_word(DATA) & 0, 0);
	in_word(DATA);
	assert_int_equal(in_word(DATA) >> 8, 0);	/* the fifth byte is the last */
	assert_int_equal(in_word(DATA), 0xffff);
	assert_int_equal(front.rejected, rejected);
}

/* A back half that takes note of cancellations but ends nothing: there are no tags left, and the command waits. */
static void no_tags_left(void **state)
{
	struct avmm_disk_completion c = { .generation = 1, .message = AVMM_DISK_CANCEL };
	u32 before;

	(void)state;
	for (c.tag = 0; c.tag < AVMM_DISK_TAGS; c.tag++) {
		out(COMMAND, 0xec);
		assert_int_equal(page.command[(page.command_head - 1) % AVMM_DISK_RING].tag, c.tag);
		out(CONTROL, SRST);
		out(CONTROL, 0);
		forge(c);
		assert_int_equal(in(STATUS), READY);
	}
	before = kicks;
	out(COMMAND, 0xec);
	assert_int_equal(in(STATUS), BSY);
	assert_int_equal(kicks, before);
	c.message = AVMM_DISK_COMMAND;
	c.tag = 2;
	forge(c);
	assert_int_equal(kicks, before + 1);
	assert_int_equal(page.command[(page.command_head - 1) % AVMM_DISK_RING].tag, 2);
	assert_int_equal(front.rejected, 0);
}

static void senseless_commands(void **state)
{
	static const struct avmm_disk_command good = {
		.generation = 1, .message = AVMM_DISK_COMMAND, .regs.now[AVMM_ATA_DEVICE] = DRIVE0,
	};
	struct avmm_disk_command c[6] = { good, good, good, good, good, good };
	unsigned int i;

	(void)state;
	c[0].generation = 7;
	c[1].unit = 4;
	c[2].tag = 4;
	c[3].message = 3;
	c[4].tag = 255;
	c[5].unit = 2;
	for (i = 0; i < ARRAY_SIZE(c); i++)
		page.command[page.command_head++ % AVMM_DISK_RING] = c[i];
	poll_back();
	assert_int_equal(back->rejected, 6);
	page.command_head += AVMM_DISK_RING + 1;
	poll_back();
	assert_int_equal(back->rejected, 7);
	assert_int_equal(page.completion_head, 0);
	page.command_head -= AVMM_DISK_RING + 1;
	/* no drive there; two commands at once; a part beyond the end, and a length that is not the command's */
	c[0] = good;
	c[0].unit = 3;
	c[0].tag = 4;
	page.command[page.command_head++ % AVMM_DISK_RING] = c[0];
	poll_back();
	assert_int_equal(page.completion[0].regs.now[AVMM_ATA_ERROR], ATA_ABRT);
	for (i = 0; i < 2; i++) {
		c[i] = good;
		c[i].regs.now[AVMM_ATA_COMMAND] = i ? 0xe7 : 0x20;
		page.command[page.command_head++ % AVMM_DISK_RING] = c[i];
	}
	poll_back();
	assert_int_equal(device.queued, 1);
	assert_int_equal(page.completion[1].regs.now[AVMM_ATA_ERROR], ATA_ABRT);
	device_end();
	for (i = 0; i < 3; i++) {
		c[i] = good;
		c[i].regs.now[AVMM_ATA_COMMAND] = i ? 0x30 : 0x20;
		c[i].regs.now[AVMM_ATA_COUNT] = 1;
		c[i].done = i ? 0 : 512;
		c[i].bytes = i == 1 ? 511 : 1024;
		page.command[page.command_head++ % AVMM_DISK_RING] = c[i];
		poll_back();
		assert_int_equal(page.completion[3 + i].regs.now[AVMM_ATA_ERROR], ATA_ABRT);
	}
	assert_int_equal(device.queued, 0);
	assert_true(ide_back_idle(back));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reset_of_an_idle_channel, begin, end),
		cmocka_unit_test_setup_teardown(reset_in_data_phases, begin, end),
		cmocka_unit_test_setup_teardown(reset_with_a_read_on_its_way, begin, end),
		cmocka_unit_test_setup_teardown(reset_with_a_write_on_its_way, begin, end),
		cmocka_unit_test_setup_teardown(old_write_never_overtakes, begin, end),
		cmocka_unit_test_setup_teardown(reset_meets_completion, begin, end),
		cmocka_unit_test_setup_teardown(given_up_halfway, begin, end),
		cmocka_unit_test_setup_teardown(srst_is_held, begin, end),
		cmocka_unit_test_setup_teardown(bus_master_stopped, begin, end),
		cmocka_unit_test_setup_teardown(stop_does_not_touch_pio, begin, end),
		cmocka_unit_test_setup_teardown(device_reset, begin, end),
		cmocka_unit_test_setup_teardown(device_reset_in_flight, begin, end),
		cmocka_unit_test_setup_teardown(partition_reset, begin, end),
		cmocka_unit_test_setup_teardown(successor, begin, end),
		cmocka_unit_test_setup_teardown(successor_and_pio, begin, end),
		cmocka_unit_test_setup_teardown(successor_knows_the_settings, begin, end),
		cmocka_unit_test_setup_teardown(reset_without_back, begin, end),
		cmocka_unit_test_setup_teardown(senseless_completions, begin, end),
		cmocka_unit_test_setup_teardown(no_tags_left, begin, end),
		cmocka_unit_test_setup_teardown(senseless_commands, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
