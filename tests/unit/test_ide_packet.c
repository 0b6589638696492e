// SPDX-License-Identifier: GPL-2.0-only
/* IDE, both halves: the CD-ROM drive. Packets as SeaBIOS, Linux and Windows send them. */
#include "ide_machine.h"

#define TABLE	0x1000u
#define BUFFER	0x200000u

static u8 got[200 * 2048];

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

/* Up to the packet itself. */
static void send(const u8 packet[12], u8 features, u16 limit)
{
	out(DEVICE, DRIVE1);
	out(FEATURES, features);
	out(LBA_MID, (u8)limit);
	out(LBA_HIGH, (u8)(limit >> 8));
	out(COMMAND, 0xa0);
	assert_int_equal(in(STATUS) & (BSY | DRQ | ERR), DRQ);
	assert_int_equal(in(COUNT), 1);		/* a command is expected */
	assert_false(lines.level[14]);
	write_words((const u16 *)packet, 6);
}

/* Blocks as they come, each with interrupt, reason and length; the end is an interrupt of its own. */
static u32 receive(u16 limit)
{
	u32 at = 0;

	for (;;) {
		u8 status;
		u16 bytes;
		u32 i;

		settle();
		status = take_interrupt();
		if (!(status & DRQ)) {
			assert_int_equal(in(COUNT), 3);
			assert_int_equal(status, DRDY);
			assert_int_equal(in(ERROR), 0);
			return at;
		}
		assert_int_equal(in(COUNT), 2);		/* data, to the host */
		bytes = (u16)(in(LBA_MID) | in(LBA_HIGH) << 8);
		assert_true(bytes && bytes <= limit && at + bytes <= sizeof(got));
		for (i = 0; i < bytes; i += 2) {
			u16 word = in_word(DATA);

			got[at + i] = (u8)word;
			if (i + 1 < bytes)
				got[at + i + 1] = (u8)(word >> 8);
		}
		at += bytes;
	}
}

static u32 packet(const u8 p[12])
{
	send(p, 0, 0xfffe);
	return receive(0xfffe);
}

static void sense(u8 key, u8 asc, u8 ascq)
{
	static const u8 request[12] = { 0x03, [4] = 18 };

	assert_int_equal(packet(request), 18);
	assert_int_equal(got[0], 0x70);
	assert_int_equal(got[2], key);
	assert_int_equal(got[12], asc);
	assert_int_equal(got[13], ascq);
}

static void fails(const u8 p[12], u8 key, u8 asc, u8 ascq)
{
	send(p, 0, 0xfffe);
	settle();
	assert_int_equal(take_interrupt(), DRDY | ERR);
	assert_int_equal(in(COUNT), 3);
	assert_int_equal(in(ERROR), key << 4 | (key == 5 ? ATA_ABRT : 0));
	sense(key, asc, ascq);
	sense(0, 0, 0);		/* told once */
}

static void identify(void **state)
{
	u16 id[256];

	(void)state;
	out(DEVICE, DRIVE1);
	out(LBA_MID, 0);
	out(LBA_HIGH, 0);
	out(COMMAND, 0xec);
	settle();
	assert_int_equal(take_interrupt(), DRDY | ERR);
	assert_int_equal(in(ERROR), ATA_ABRT);
	assert_int_equal(in(LBA_MID), 0x14);
	assert_int_equal(in(LBA_HIGH), 0xeb);
	out(COMMAND, 0xa1);
	settle();
	assert_int_equal(take_interrupt(), DRDY | DRQ);
	read_words(id, 256);
	assert_int_equal(in(STATUS), DRDY);
	assert_int_equal(id[0], 0x85c0);
	assert_int_equal(id[49] & 0x300, 0x300);
	assert_int_equal(id[82] & 0x0210, 0x0210);
	assert_int_equal(id[83], 0x4000);
	assert_int_equal(id[85], id[82]);
	assert_int_equal(id[87], id[84]);
	assert_memory_equal(&id[10], "VAMM0010", 8);
	assert_int_equal(id[88], 0x203f);
	assert_int_equal(id[93] & 0x0f0f, 0x0b00);	/* of drive 1 */
	assert_int_equal(id[100] | id[60] | id[128], 0);
	assert_memory_equal(&id[27], "VAMMD DVR-MO", 12);
	assert_int_equal(id[255] & 0xff, 0xa5);
	out(FEATURES, 0x03);
	out(COUNT, 0x42);
	out(COMMAND, 0xef);
	settle();
	assert_int_equal(take_interrupt(), DRDY);
	out(COMMAND, 0xa1);
	settle();
	assert_int_equal(take_interrupt(), DRDY | DRQ);
	read_words(id, 256);
	assert_int_equal(id[88], 0x043f);
	out(LBA_MID, 0x77);
	out(COMMAND, 0x30);	/* a disk's write has no data phase here */
	settle();
	assert_int_equal(take_interrupt(), DRDY | ERR);
	assert_int_equal(in(LBA_MID), 0x77);
	out(COMMAND, 0xe0);
	settle();
	assert_int_equal(take_interrupt(), DRDY);
	out(COMMAND, 0xe5);
	settle();
	assert_int_equal(take_interrupt(), DRDY);
	assert_int_equal(in(COUNT), 0xff);
}

static void inquiry(void **state)
{
	static const u8 p[12] = { 0x12, [4] = 36 }, few[12] = { 0x12, [4] = 5 };
	static const u8 vital[12] = { 0x12, 1, 0, [4] = 36 };

	(void)state;
	assert_int_equal(packet(p), 36);
	assert_int_equal(got[0], 5);
	assert_int_equal(got[1], 0x80);
	assert_memory_equal(got + 8, "AVMM    DVD-ROM         1.0 ", 28);
	assert_int_equal(packet(few), 5);	/* odd, and less than there is */
	assert_int_equal(got[4], 31);
	fails(vital, 5, 0x24, 0);
}

static void ready(void **state)
{
	static const u8 p[12] = { 0 };

	(void)state;
	assert_int_equal(packet(p), 0);
	back->unit[1].media = 0;
	fails(p, 2, 0x3a, 1);
	back->unit[1].media = 2;	/* another disc */
	fails(p, 6, 0x28, 0);
	assert_int_equal(packet(p), 0);
}

static void capacity(void **state)
{
	static const u8 p[12] = { 0x25 };
	static const u8 want[8] = { 0, 0, (CD_SECTORS / 4 - 1) >> 8, (CD_SECTORS / 4 - 1) & 0xff, 0, 0, 8, 0 };

	(void)state;
	assert_int_equal(packet(p), 8);
	assert_memory_equal(got, want, 8);
}

static void read_pio(void **state)
{
	static const u8 p[12] = { 0x28, [4] = 1, [5] = 2, [8] = 3 }, big[12] = { 0xa8, [5] = 16, [8] = 0, [9] = 200 };
	static const u8 nothing[12] = { 0x28, [5] = 1 };
	u32 before;

	(void)state;
	send(p, 0, 2048);
	assert_int_equal(receive(2048), 3 * 2048);
	assert_pattern(got, 1, 258 * 4, 12);
	assert_int_equal(kicks, 1);
	assert_int_equal(completions_seen, 1);
	assert_int_equal(lines.rises[14], 4);
	/* limits that are odd and do not divide a block */
	send(p, 0, 1001);
	assert_int_equal(receive(1000), 3 * 2048);
	assert_pattern(got, 1, 258 * 4, 12);
	/* more than the data area holds */
	before = kicks;
	send(big, 0, 0);
	assert_int_equal(receive(0xfffe), 200 * 2048);
	assert_int_equal(kicks - before, 4);
	assert_int_equal(packet(nothing), 0);
}

static void dma(const u8 p[12], u32 bytes, u8 status)
{
	put_prd(TABLE, 0, BUFFER, bytes, true);
	dma_prepare(TABLE, TO_MEMORY);
	send(p, 1, 0);
	assert_int_equal(in(ALT_STATUS) & (BSY | DRQ), DRQ);
	dma_start(TO_MEMORY);
	settle();
	assert_int_equal(in(BM_STATUS) & ~ACTIVE, INTERRUPT);
	out(BM_COMMAND, 0);
	assert_int_equal(take_interrupt(), status);
	assert_int_equal(in(COUNT), 3);
}

static void read_dma(void **state)
{
	static const u8 p[12] = { 0x28, [5] = 9, [8] = 16 }, inquiry[12] = { 0x12, [4] = 36 };
	static const u8 ready[12] = { 0 }, beyond[12] = { 0x28, [2] = 1, [8] = 1 };

	(void)state;
	dma(p, 16 * 2048, DRDY);
	assert_pattern(guest(BUFFER), 1, 36, 64);
	assert_int_equal(kicks, 1);
	assert_int_equal(completions_seen, 1);
	dma(inquiry, 36, DRDY);
	assert_memory_equal(guest(BUFFER) + 8, "AVMM", 4);
	dma(beyond, 2048, DRDY | ERR);
	assert_int_equal(in(ERROR), 0x54);
	send(ready, 1, 0);		/* no data: nobody starts the bus master */
	settle();
	assert_int_equal(take_interrupt(), DRDY);
}

static void read_errors(void **state)
{
	static const u8 beyond[12] = { 0x28, [4] = 0x27, [5] = 0x10, [8] = 1 };
	static const u8 over[12] = { 0xa8, [6] = 0xff, [9] = 1 };
	static const u8 p[12] = { 0x28, [5] = 10, [8] = 4 }, last[12] = { 0x28, [4] = 0x27, [5] = 0x0f, [8] = 1 };

	(void)state;
	assert_int_equal(packet(last), 2048);
	fails(beyond, 5, 0x21, 0);
	fails(over, 5, 0x21, 0);
	device.fail_at = 12 * 4 + 1;
	send(p, 0, 0xfffe);
	settle();
	assert_int_equal(take_interrupt(), DRDY | DRQ);
	assert_int_equal(in(LBA_MID) | in(LBA_HIGH) << 8, 2 * 2048);	/* whole blocks before it */
	while (in(ALT_STATUS) & DRQ)
		in_word(DATA);
	assert_int_equal(take_interrupt(), DRDY | ERR);
	assert_int_equal(in(ERROR), 0x30);
	sense(3, 0x11, 0);
}

static void toc(void **state)
{
	static const u8 p[12] = { 0x43, 2, [8] = 200 }, lba[12] = { 0x43, 0, [6] = 0xaa, [8] = 200 };
	static const u8 session[12] = { 0x43, 0, 1, [8] = 200 }, windows[12] = { 0x43, 2, [8] = 200, [9] = 0x40 };
	static const u8 full[12] = { 0x43, 0, 2, [8] = 200 }, track[12] = { 0x43, [6] = 2, [8] = 200 };
	static const u8 four[12] = { 0x43, [8] = 4 }, first[12] = { 0x43, [6] = 1, [8] = 200 };
	static const u8 want[20] = {
		0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 2, 0, 0, 0x14, 0xaa, 0, 0, 2, 15, 25,	/* 10,150 frames */
	};

	(void)state;
	assert_int_equal(packet(p), 20);
	assert_memory_equal(got, want, 20);
	assert_int_equal(packet(lba), 12);
	assert_int_equal(got[6], 0xaa);
	assert_int_equal(got[10] << 8 | got[11], CD_SECTORS / 4);
	assert_int_equal(packet(session), 12);
	assert_int_equal(got[6], 1);
	assert_int_equal(packet(windows), 12);
	assert_int_equal(packet(four), 4);
	assert_int_equal(got[1], 18);
	fails(full, 5, 0x24, 0);
	fails(track, 5, 0x24, 0);
	assert_int_equal(packet(first), 20);
}

static void mode_sense(void **state)
{
	static const u8 all[12] = { 0x5a, 0, 0x3f, [8] = 128 }, caps[12] = { 0x5a, 0, 0x2a, [8] = 128 };
	static const u8 saved[12] = { 0x5a, 0, 0xea, [8] = 128 }, none[12] = { 0x5a, 0, 0x0e, [8] = 128 };
	static const u8 mask[12] = { 0x5a, 0, 0x6a, [8] = 128 }, head[12] = { 0x5a, 0, 0x01, [8] = 8 };

	(void)state;
	assert_int_equal(packet(all), 8 + 8 + 8 + 22);
	assert_int_equal(got[1], 8 + 8 + 8 + 22 - 2);
	assert_int_equal(packet(caps), 30);
	assert_int_equal(got[2], 1);		/* there is a disc */
	assert_int_equal(got[8], 0x2a);
	assert_int_equal(got[9], 0x14);
	assert_int_equal(packet(mask), 30);
	assert_int_equal(got[10], 0);
	assert_int_equal(packet(head), 8);
	fails(saved, 5, 0x39, 0);
	fails(none, 5, 0x24, 0);
}

static void configuration(void **state)
{
	static const u8 all[12] = { 0x46, 0, [8] = 200 }, one[12] = { 0x46, 2, 0, 0x1f, [8] = 200 };
	static const u8 current[12] = { 0x46, 1, [8] = 200 }, head[12] = { 0x46, 0, [8] = 8 };
	u32 bytes;

	(void)state;
	assert_int_equal(packet(head), 8);
	assert_int_equal(got[7], 0x08);		/* a CD */
	bytes = packet(all);
	assert_int_equal(got[3], bytes - 4);
	assert_int_equal(got[8 + 4 + 1] | got[8 + 4 + 5] << 8, 0x0810);	/* the profiles */
	assert_int_equal(got[8 + 4 + 6], 1);
	assert_int_equal(packet(one), 12);
	assert_int_equal(got[9], 0x1f);
	assert_true(packet(current) < bytes);
	back->unit[1].sectors = 4 * 500000;
	assert_int_equal(packet(head), 8);
	assert_int_equal(got[7], 0x10);		/* a DVD */
}

static void events(void **state)
{
	static const u8 p[12] = { 0x4a, 1, [4] = 0x10, [8] = 8 }, wait[12] = { 0x4a, 0, [4] = 0x10, [8] = 8 };
	static const u8 power[12] = { 0x4a, 1, [4] = 0x04, [8] = 8 };

	(void)state;
	assert_int_equal(packet(p), 8);
	assert_int_equal(got[2], 4);
	assert_int_equal(got[4], 0);
	assert_int_equal(got[5], 2);
	back->unit[1].media++;
	assert_int_equal(packet(p), 8);
	assert_int_equal(got[4], 2);
	assert_int_equal(packet(power), 4);
	assert_int_equal(got[1], 2);
	assert_int_equal(got[2], 0x80);
	fails(wait, 5, 0x24, 0);
}

static void tray(void **state)
{
	static const u8 eject[12] = { 0x1b, [4] = 2 }, load[12] = { 0x1b, [4] = 3 }, ready[12] = { 0 };
	static const u8 prevent[12] = { 0x1e, [4] = 1 }, allow[12] = { 0x1e }, status[12] = { 0xbd, [9] = 8 };
	static const u8 start[12] = { 0x1b, [4] = 1 }, caps[12] = { 0x5a, 0, 0x2a, [8] = 128 };

	(void)state;
	assert_int_equal(packet(prevent), 0);
	fails(eject, 5, 0x53, 2);
	assert_int_equal(packet(caps), 30);
	assert_int_equal(got[8 + 6] & 2, 2);	/* locked */
	assert_int_equal(packet(allow), 0);
	assert_int_equal(packet(eject), 0);
	fails(ready, 2, 0x3a, 2);
	assert_int_equal(packet(status), 8);
	assert_int_equal(got[1], 0x10);
	assert_int_equal(packet(caps), 30);
	assert_int_equal(got[2], 0x71);
	assert_int_equal(packet(load), 0);
	fails(ready, 6, 0x28, 0);
	assert_int_equal(packet(ready), 0);
	assert_int_equal(packet(start), 0);
	assert_int_equal(packet(eject), 0);
	back->unit[1].media++;		/* another disc is put in */
	fails(ready, 6, 0x28, 0);
	assert_int_equal(packet(ready), 0);
}

static void others(void **state)
{
	static const u8 seek[12] = { 0x2b, [5] = 1 }, far[12] = { 0x2b, [2] = 1 }, speed[12] = { 0xbb, [2] = 0xff };
	static const u8 disc[12] = { 0x51, [8] = 34 }, unknown[12] = { 0xff }, select[12] = { 0x55, [8] = 8 };
	static const u8 read_cd[12] = { 0xbe, [5] = 3, [8] = 1, [9] = 0x10 }, raw[12] = { 0xbe, [8] = 1, [9] = 0xf8 };

	(void)state;
	assert_int_equal(packet(seek), 0);
	fails(far, 5, 0x21, 0);
	assert_int_equal(packet(speed), 0);
	assert_int_equal(packet(disc), 34);
	assert_int_equal(got[1], 32);
	assert_int_equal(got[2], 0x0e);
	assert_int_equal(got[16], 0xff);
	assert_int_equal(got[3] | got[4] << 8 | got[5] << 16 | got[6] << 24, 0x01010101);
	fails(unknown, 5, 0x20, 0);
	fails(select, 5, 0x20, 0);
	assert_int_equal(packet(read_cd), 2048);
	assert_pattern(got, 1, 12, 4);
	fails(raw, 5, 0x24, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(identify, begin, end),
		cmocka_unit_test_setup_teardown(inquiry, begin, end),
		cmocka_unit_test_setup_teardown(ready, begin, end),
		cmocka_unit_test_setup_teardown(capacity, begin, end),
		cmocka_unit_test_setup_teardown(read_pio, begin, end),
		cmocka_unit_test_setup_teardown(read_dma, begin, end),
		cmocka_unit_test_setup_teardown(read_errors, begin, end),
		cmocka_unit_test_setup_teardown(toc, begin, end),
		cmocka_unit_test_setup_teardown(mode_sense, begin, end),
		cmocka_unit_test_setup_teardown(configuration, begin, end),
		cmocka_unit_test_setup_teardown(events, begin, end),
		cmocka_unit_test_setup_teardown(tray, begin, end),
		cmocka_unit_test_setup_teardown(others, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
