// SPDX-License-Identifier: GPL-2.0-only
/* IDE, both halves: registers and their dialogues, PIO, the command set of a disk. */
#include "ide_machine.h"

static u16 words[131072];

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

static void signature(u8 where, u8 mid, u8 high, u8 status)
{
	out(DEVICE, where);
	assert_int_equal(in(ERROR), 0x01);
	assert_int_equal(in(COUNT), 0x01);
	assert_int_equal(in(LBA_LOW), 0x01);
	assert_int_equal(in(LBA_MID), mid);
	assert_int_equal(in(LBA_HIGH), high);
	assert_int_equal(in(STATUS), status);
}

static void after_power_on(void **state)
{
	(void)state;
	signature(0xa0, 0, 0, READY);
	signature(0xb0, 0x14, 0xeb, 0);
	assert_false(lines.level[14]);
	assert_int_equal(in(CONTROL + 1), 0xc0 | 0x3c | 1);	/* drive address: drive 1, head 0 */
	out(DEVICE, DRIVE0 | 5);
	assert_int_equal(in(CONTROL + 1), 0xc0 | (~5 & 15) << 2 | 2);
	assert_int_equal(kicks, 0);
}

/* As SeaBIOS and Linux probe: values stick where there is a drive. */
static void probe(void **state)
{
	static const struct { u16 base; u8 where; bool there; } place[] = {
		{ 0, DRIVE0, true }, { 0, DRIVE1, true }, { 0x80, DRIVE0, true }, { 0x80, DRIVE1, false },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(place); i++) {
		out(DEVICE - place[i].base, place[i].where);
		out(COUNT - place[i].base, 0x55);
		out(LBA_LOW - place[i].base, 0xaa);
		assert_int_equal(in(COUNT - place[i].base), place[i].there ? 0x55 : 0);
		assert_int_equal(in(LBA_LOW - place[i].base), place[i].there ? 0xaa : 0);
		if (!place[i].there)
			assert_int_equal(in(STATUS - place[i].base), 0);
	}
	out(COMMAND - 0x80, 0xec);	/* to nobody */
	assert_int_equal(kicks, 0);
	assert_int_equal(in(STATUS - 0x80), 0);
}

static void both_bytes_of_a_register(void **state)
{
	(void)state;
	out(DEVICE, DRIVE0);
	out(LBA_LOW, 0x12);
	out(LBA_LOW, 0x34);
	assert_int_equal(in(LBA_LOW), 0x34);
	out(CONTROL, HOB);
	assert_int_equal(in(LBA_LOW), 0x12);
	out(COUNT, 1);		/* any write ends it */
	assert_int_equal(in(LBA_LOW), 0x34);
	out_word(COUNT, 0x7788);	/* no other than the data port is wider than a byte */
	assert_int_equal(in(COUNT), 0x88);
	assert_int_equal(in(LBA_LOW), 0x34);
}

static void identify(u16 *id)
{
	out(DEVICE, DRIVE0);
	out(COMMAND, 0xec);
	assert_int_equal(in(ALT_STATUS), BSY);
	settle();
	assert_int_equal(take_interrupt(), READY | DRQ);
	read_words(id, 256);
	assert_int_equal(in(STATUS), READY);
	assert_false(lines.level[14]);
}

static void identify_device(void **state)
{
	u16 id[256];
	u8 sum = 0, *bytes = (u8 *)id;
	u32 i;

	(void)state;
	identify(id);
	assert_int_equal(kicks, 1);
	assert_int_equal(completions_seen, 1);
	assert_int_equal(id[0] & 0x8080, 0);
	assert_int_equal(id[1], 16383);
	assert_int_equal(id[3], 16);
	assert_int_equal(id[6], 63);
	assert_memory_equal(&id[27], "VAMMD SI K  ", 12);
	assert_memory_equal(&id[10], "VAMM0010", 8);
	assert_int_equal(id[47], 0x8010);
	assert_int_equal(id[49] & 0x0300, 0x0300);
	assert_int_equal(id[53], 7);
	assert_int_equal(id[56], 63);
	assert_int_equal(id[86], id[83] & 0x3fff);
	assert_int_equal(id[87], id[84]);
	assert_int_equal(id[59], 0x0110);	/* multiple mode is on: issue 5 counts on it */
	assert_int_equal(id[60] | id[61] << 16, 0x0fffffff);
	assert_int_equal(id[63], 0x0007);
	assert_int_equal(id[88], 0x203f);
	assert_int_equal(id[83] & 0xf400, 0x7400);
	assert_int_equal(id[85] & 0x60, 0x60);
	assert_int_equal(id[93] & 0xe000, 0x6000);
	assert_int_equal(id[100] | (u64)id[101] << 16 | (u64)id[102] << 32, DISK_SECTORS);
	assert_int_equal(id[106], 0x4000);
	assert_int_equal(id[169], 0);
	assert_int_equal(id[217], 1);
	assert_int_equal(id[255] & 0xff, 0xa5);
	for (i = 0; i < 512; i++)
		sum += bytes[i];
	assert_int_equal(sum, 0);
}

static void identify_says_what_is_behind(void **state)
{
	u16 id[256];

	(void)state;
	back->unit[0].physical_block = 4096;
	back->unit[0].can_discard = true;
	back->unit[0].sectors = 2048 * 16 * 63;
	identify(id);
	assert_int_equal(id[106], 0x6003);
	assert_int_equal(id[169] & 1, 1);
	assert_int_equal(id[105], 8);
	assert_int_equal(id[1], 2048);
	assert_int_equal(id[57] | id[58] << 16, 2048 * 16 * 63);
}

static void simple(u8 where, u8 features, u8 count, u8 command, u8 status, u8 error)
{
	out(DEVICE, where);
	out(FEATURES, features);
	out(COUNT, count);
	out(COMMAND, command);
	settle();
	assert_int_equal(take_interrupt(), status);
	assert_int_equal(in(ERROR), error);
}

static void set_features(void **state)
{
	u16 id[256];

	(void)state;
	simple(DRIVE0, 0x03, 0x22, 0xef, READY, 0);
	identify(id);
	assert_int_equal(id[63], 0x0407);
	assert_int_equal(id[88], 0x003f);
	simple(DRIVE0, 0x03, 0x46, 0xef, READY | ERR, ATA_ABRT);	/* UDMA 6 is not announced */
	simple(DRIVE0, 0x03, 0x40, 0xef, READY, 0);
	identify(id);
	assert_int_equal(id[88], 0x013f);
	simple(DRIVE0, 0x03, 0x0c, 0xef, READY, 0);
	identify(id);
	assert_int_equal(id[63], 0x0007);
	simple(DRIVE0, 0x82, 0, 0xef, READY, 0);
	assert_int_equal(device.flushes, 1);
	simple(DRIVE0, 0x55, 0, 0xef, READY, 0);
	identify(id);
	assert_int_equal(id[85] & 0x60, 0);
	simple(DRIVE0, 0x02, 0, 0xef, READY, 0);
	simple(DRIVE0, 0xaa, 0, 0xef, READY, 0);
	identify(id);
	assert_int_equal(id[85] & 0x60, 0x60);
	simple(DRIVE0, 0x66, 0, 0xef, READY, 0);
	simple(DRIVE0, 0x05, 0x80, 0xef, READY | ERR, ATA_ABRT);	/* no APM */
	simple(DRIVE1, 0x03, 0x42, 0xef, DRDY, 0);
	simple(DRIVE1, 0x02, 0, 0xef, DRDY | ERR, ATA_ABRT);
}

static void refused(void **state)
{
	static const u8 command[] = {
		0x00, 0x22, 0x50, 0x87, 0x92, 0xa0, 0xa1, 0xa2, 0xb0, 0xb1, 0xc7, 0xcc, 0xe4, 0xe8, 0xf1, 0xf5, 0xf9,
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(command); i++)
		simple(DRIVE0, 0, 0, command[i], READY | ERR, ATA_ABRT);
}

static void power_modes(void **state)
{
	static const u8 sleeps[] = { 0xe0, 0xe2, 0xe6, 0x94, 0x96, 0x99 }, wakes[] = { 0xe1, 0xe3, 0x95, 0x97 };
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sleeps); i++) {
		simple(DRIVE0, 0, 0, sleeps[i], READY, 0);
		assert_int_equal(device.flushes, i + 1);
		simple(DRIVE0, 0, 0, 0xe5, READY, 0);
		assert_int_equal(in(COUNT), 0x00);
		simple(DRIVE0, 0, 0, wakes[i % ARRAY_SIZE(wakes)], READY, 0);
		simple(DRIVE0, 0, 0, 0x98, READY, 0);
		assert_int_equal(in(COUNT), 0xff);
	}
	simple(DRIVE0, 0, 0, 0xe0, READY, 0);
	task(DRIVE0, 0, 1, 0x40);
	settle();
	take_interrupt();
	simple(DRIVE0, 0, 0, 0xe5, READY, 0);
	assert_int_equal(in(COUNT), 0xff);	/* an access woke it up */
}

static void flush(void **state)
{
	(void)state;
	simple(DRIVE0, 0, 0, 0xe7, READY, 0);
	simple(DRIVE0, 0, 0, 0xea, READY, 0);
	assert_int_equal(device.flushes, 2);
	device.fail_flush = true;
	simple(DRIVE0, 0, 0, 0xe7, READY | ERR, ATA_ABRT);
}

static void native_max(void **state)
{
	(void)state;
	simple(DRIVE0, 0, 0, 0xf8, READY, 0);
	assert_int_equal(in(LBA_LOW), 0xff);
	assert_int_equal(in(LBA_HIGH), 0xff);
	assert_int_equal(in(DEVICE) & 15, 15);
	simple(DRIVE0, 0, 0, 0x27, READY, 0);
	assert_int_equal(in(LBA_LOW) | in(LBA_MID) << 8 | in(LBA_HIGH) << 16, (DISK_SECTORS - 1) & 0xffffff);
	out(CONTROL, HOB);
	assert_int_equal(in(LBA_LOW) | in(LBA_MID) << 8 | in(LBA_HIGH) << 16, (DISK_SECTORS - 1) >> 24);
}

/* One block of a PIO read, by the string routine. */
static u32 string_in(u8 *to, u32 room)
{
	u32 bytes;
	u8 *from = ide_data(&front.channel[0], IDE_READS, &bytes);

	assert_non_null(from);
	assert_true(bytes <= room);
	memcpy(to, from, bytes);
	ide_data_advance(&front.channel[0], bytes);
	return bytes;
}

static u32 string_out(const u8 *from)
{
	u32 bytes;
	u8 *to = ide_data(&front.channel[0], IDE_WRITES, &bytes);

	assert_non_null(to);
	memcpy(to, from, bytes);
	ide_data_advance(&front.channel[0], bytes);
	return bytes;
}

static void read_sectors(void **state)
{
	u32 i;

	(void)state;
	task(DRIVE0, 1000, 8, 0x20);
	assert_int_equal(in(STATUS), BSY);
	settle();
	for (i = 0; i < 8; i++) {
		assert_int_equal(take_interrupt(), READY | DRQ);
		read_words(words + 256 * i, 256);
	}
	assert_int_equal(in(STATUS), READY);
	assert_int_equal(lines.rises[14], 8);
	assert_pattern((u8 *)words, 0, 1000, 8);
	assert_int_equal(kicks, 1);	/* 4 KiB: one crossing there, one back */
	assert_int_equal(completions_seen, 1);
	assert_int_equal(in_word(DATA), 0xffff);	/* nothing left */
}

static void read_multiple(void **state)
{
	u8 *data = (u8 *)words;
	u32 at = 0, blocks = 0;

	(void)state;
	task(DRIVE0, 0x0abcdef, 40, 0xc4);
	settle();
	while (at < 40 * 512) {
		assert_int_equal(take_interrupt(), READY | DRQ);
		at += string_in(data + at, 16 * 512);
		blocks++;
	}
	assert_int_equal(blocks, 3);	/* 16, 16, 8 */
	assert_int_equal(in(STATUS), READY);
	assert_pattern(data, 0, 0x0abcdef, 40);
	assert_int_equal(kicks, 1);
	assert_int_equal(completions_seen, 1);
}

static void data_port_by_dwords(void **state)
{
	u32 i;

	(void)state;
	task(DRIVE0, 5, 1, 0x20);
	settle();
	for (i = 0; i < 128; i++)
		((u32 *)words)[i] = (u32)bus_read(&ports, DATA, 4, now);
	assert_pattern((u8 *)words, 0, 5, 1);
	assert_int_equal(in(STATUS), READY);
}

static void multiple_off(void **state)
{
	u16 id[256];

	(void)state;
	simple(DRIVE0, 0, 3, 0xc6, READY | ERR, ATA_ABRT);
	simple(DRIVE0, 0, 32, 0xc6, READY | ERR, ATA_ABRT);
	simple(DRIVE0, 0, 4, 0xc6, READY, 0);
	task(DRIVE0, 0, 6, 0xc4);
	settle();
	take_interrupt();
	assert_int_equal(string_in((u8 *)words, sizeof(words)), 4 * 512);
	take_interrupt();
	assert_int_equal(string_in((u8 *)words, sizeof(words)), 2 * 512);
	simple(DRIVE0, 0, 0, 0xc6, READY, 0);
	identify(id);
	assert_int_equal(id[59], 0);
	simple(DRIVE0, 0, 1, 0xc4, READY | ERR, ATA_ABRT);
	simple(DRIVE0, 0, 1, 0xc5, READY | ERR, ATA_ABRT);	/* without a data phase */
	simple(DRIVE0, 0, 1, 0x39, READY | ERR, ATA_ABRT);
}

/* 256 sectors by a count of 0; and more than the data area holds, in parts. */
static void long_reads(void **state)
{
	static u8 data[600 * 512];
	u32 at;

	(void)state;
	task(DRIVE0, 7, 0, 0xc4);
	settle();
	for (at = 0; at < 256 * 512; at += string_in(data + at, sizeof(data) - at))
		assert_int_equal(take_interrupt(), READY | DRQ);
	assert_int_equal(in(STATUS), READY);
	assert_pattern(data, 0, 7, 256);
	assert_int_equal(kicks, 1);
	task_ext(DRIVE0, 0x10000001, 600, 0x29);
	for (at = 0; at < 600 * 512; at += string_in(data + at, sizeof(data) - at)) {
		settle();
		assert_int_equal(take_interrupt(), READY | DRQ);
	}
	assert_int_equal(in(STATUS), READY);
	assert_pattern(data, 0, 0x10000001, 600);
	assert_int_equal(kicks, 1 + 3);
	task(DRIVE0, 8, 1, 0x20);	/* the next one starts anew */
	settle();
	assert_int_equal(take_interrupt(), READY | DRQ);
	string_in(data, sizeof(data));
	assert_pattern(data, 0, 8, 1);
}

static void fill(u8 *data, u32 bytes, u64 seed)
{
	u32 i;

	for (i = 0; i < bytes; i++)
		data[i] = (u8)random_u64(&seed);
}

static void assert_written(const u8 *data, u64 sector, u32 sectors)
{
	for (; sectors; sectors--, sector++, data += 512) {
		assert_non_null(device_find(0, sector));
		assert_memory_equal(device_find(0, sector)->data, data, 512);
	}
}

static void write_sectors(void **state)
{
	u32 i;

	(void)state;
	fill((u8 *)words, 4 * 512, 1);
	task(DRIVE0, 77, 4, 0x30);
	assert_int_equal(in(STATUS), READY | DRQ);	/* at once, without interrupt */
	assert_int_equal(kicks, 0);
	for (i = 0; i < 4; i++) {
		if (i)
			assert_int_equal(take_interrupt(), READY | DRQ);
		assert_int_equal(in(ALT_STATUS), READY | DRQ);
		write_words(words + 256 * i, 256);
	}
	assert_int_equal(in(ALT_STATUS), BSY);
	assert_false(lines.level[14]);
	settle();
	assert_int_equal(take_interrupt(), READY);
	assert_written((u8 *)words, 77, 4);
	assert_int_equal(kicks, 1);
	assert_int_equal(completions_seen, 1);
	assert_int_equal(device.requests, 1);
	assert_int_equal(device.fuas, 0);
}

static void write_multiple(void **state)
{
	static u8 data[600 * 512];
	u32 at, blocks = 0;

	(void)state;
	fill(data, sizeof(data), 2);
	task(DRIVE0, 500, 20, 0xc5);
	assert_int_equal(string_out(data), 16 * 512);
	assert_int_equal(take_interrupt(), READY | DRQ);
	assert_int_equal(string_out(data + 16 * 512), 4 * 512);
	settle();
	assert_int_equal(take_interrupt(), READY);
	assert_written(data, 500, 20);
	/* forced to the medium, in parts */
	task_ext(DRIVE0, 0x10000100, 600, 0xce);
	for (at = 0; at < sizeof(data); blocks++) {
		if (blocks) {
			settle();
			assert_int_equal(take_interrupt(), READY | DRQ);
		}
		at += string_out(data + at);
	}
	settle();
	assert_int_equal(take_interrupt(), READY);
	assert_int_equal(blocks, 16 + 16 + 6);
	assert_written(data, 0x10000100, 600);
	assert_int_equal(device.fuas, 3);
	assert_int_equal(kicks, 1 + 3);
}

static void write_through(void **state)
{
	(void)state;
	simple(DRIVE0, 0x82, 0, 0xef, READY, 0);
	task(DRIVE0, 1, 1, 0x30);
	string_out((u8 *)words);
	settle();
	assert_int_equal(take_interrupt(), READY);
	assert_int_equal(device.fuas, 1);
	simple(DRIVE0, 0, 0, 0xe7, READY, 0);
}

static void write_protected(void **state)
{
	(void)state;
	back->unit[0].read_only = true;
	task(DRIVE0, 77, 1, 0x30);
	string_out((u8 *)words);
	settle();
	assert_int_equal(take_interrupt(), READY | ERR);
	assert_int_equal(in(ERROR), ATA_ABRT);
	assert_int_equal(device.requests, 0);
	task(DRIVE0, 77, 1, 0x20);
	settle();
	assert_int_equal(take_interrupt(), READY | DRQ);
}

static void out_of_range(void **state)
{
	static const u8 reads[] = { 0x24, 0x29, 0x42 };
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(reads); i++) {
		task_ext(DRIVE0, DISK_SECTORS - 1, 2, reads[i]);
		settle();
		assert_int_equal(take_interrupt(), READY | ERR);
		assert_int_equal(in(ERROR), ATA_IDNF);
		assert_int_equal(in(LBA_LOW), DISK_SECTORS & 0xff);
		task_ext(DRIVE0, 0xffffffffffffull, 0, reads[i]);
		settle();
		assert_int_equal(take_interrupt(), READY | ERR);
		assert_int_equal(in(ERROR), ATA_IDNF);
		task_ext(DRIVE0, DISK_SECTORS - 1, 1, reads[i]);
		settle();
		assert_int_equal(take_interrupt() & ERR, 0);
	}
	back->unit[0].sectors = 1ull << 48;	/* all six bytes of an address */
	task_ext(DRIVE0, 0xfedcba987654ull, 1, 0x24);
	settle();
	take_interrupt();
	read_words(words, 256);
	assert_pattern((u8 *)words, 0, 0xfedcba987654ull, 1);
	back->unit[0].sectors = DISK_SECTORS;
	task_ext(DRIVE0, DISK_SECTORS, 1, 0x34);
	string_out((u8 *)words);
	settle();
	assert_int_equal(take_interrupt(), READY | ERR);
	assert_int_equal(in(ERROR), ATA_IDNF);
	assert_int_equal(device.nstored, 0);
	simple(DRIVE0, 0, 0, 0x70, READY, 0);	/* SEEK, to sector 0x55.. as the registers have it */
	back->unit[0].sectors = 100;		/* the export shrank */
	task(DRIVE0, 99, 0, 0x70);
	settle();
	assert_int_equal(take_interrupt(), READY);
	task(DRIVE0, 100, 0, 0x70);
	settle();
	assert_int_equal(take_interrupt(), READY | ERR);
	assert_int_equal(in(ERROR), ATA_IDNF);
	task(DRIVE0, 100, 1, 0x20);
	settle();
	assert_int_equal(take_interrupt(), READY | ERR);
}

/* What was read before the bad sector is delivered, then the error shows with its address. */
static void read_error(void **state)
{
	u32 i;

	(void)state;
	device.fail_at = 0x0123456 + 3;
	task(DRIVE0, 0x0123456, 8, 0x20);
	settle();
	for (i = 0; i < 3; i++) {
		assert_int_equal(take_interrupt(), READY | DRQ);
		read_words(words + 256 * i, 256);
	}
	assert_pattern((u8 *)words, 0, 0x0123456, 3);
	assert_int_equal(take_interrupt(), READY | ERR);
	assert_int_equal(in(ERROR), ATA_UNC);
	assert_int_equal(in(LBA_LOW) | in(LBA_MID) << 8 | in(LBA_HIGH) << 16, 0x0123459);
	device.fail_at = 0x0123456;
	task(DRIVE0, 0x0123456, 8, 0xc4);
	settle();
	assert_int_equal(take_interrupt(), READY | ERR);
	assert_int_equal(in(ERROR), ATA_UNC);
	task_ext(DRIVE0, 0x0123400, 0x1000, 0x42);	/* VERIFY finds it in its first part */
	settle();
	assert_int_equal(take_interrupt(), READY | ERR);
	assert_int_equal(in(LBA_LOW), 0x56);
}

static void write_error(void **state)
{
	(void)state;
	device.fail_at = 9;
	task(DRIVE0, 9, 1, 0x30);
	string_out((u8 *)words);
	settle();
	assert_int_equal(take_interrupt(), READY | ERR);
	assert_int_equal(in(ERROR), ATA_ABRT);
	assert_int_equal(in(LBA_LOW), 9);
	task(DRIVE0, 9, 1, 0x30);
	assert_int_equal(in(ERROR), 0);		/* of the command before */
}

static void cylinders_heads_sectors(void **state)
{
	(void)state;
	task(0xa0 | 3, 2 << 8 | 5, 1, 0x20);	/* cylinder 2, head 3, sector 5 */
	settle();
	take_interrupt();
	read_words(words, 256);
	assert_pattern((u8 *)words, 0, (2 * 16 + 3) * 63 + 4, 1);
	task(0xa0, 0, 1, 0x20);			/* there is no sector 0 */
	settle();
	assert_int_equal(take_interrupt(), READY | ERR);
	assert_int_equal(in(ERROR), ATA_IDNF);
	simple(0xa0 | 254 % 16, 0, 32, 0x91, READY, 0);	/* another translation: 15 heads, 32 sectors */
	task(0xa0 | 1, 1 << 8 | 32, 1, 0x20);
	settle();
	take_interrupt();
	read_words(words, 256);
	assert_pattern((u8 *)words, 0, (15 + 1) * 32 + 31, 1);
	task(0xa0 | 1, 1 << 8 | 33, 1, 0x20);
	settle();
	assert_int_equal(take_interrupt(), READY | ERR);
	simple(0xaf, 0, 40, 0x91, READY, 0);		/* 16 heads */
	task(0xa0 | 1, 1 << 8 | 40, 1, 0x20);
	settle();
	take_interrupt();
	read_words(words, 256);
	assert_pattern((u8 *)words, 0, (16 + 1) * 40 + 39, 1);
	simple(0xae, 0, 32, 0x91, READY, 0);
	device.fail_at = (15 + 2) * 32 + 1;
	task(0xa0 | 2, 1 << 8 | 1, 2, 0x20);
	settle();
	take_interrupt();
	read_words(words, 256);
	assert_int_equal(take_interrupt(), READY | ERR);
	assert_int_equal(in(LBA_LOW), 2);
	assert_int_equal(in(LBA_MID), 1);
	assert_int_equal(in(DEVICE) & 15, 2);
	simple(DRIVE0, 0, 0, 0x91, READY | ERR, ATA_ABRT);
}

static void verify(void **state)
{
	(void)state;
	task_ext(DRIVE0, 0, 0, 0x42);	/* 65,536 sectors, in parts, with one crossing */
	settle();
	assert_int_equal(take_interrupt(), READY);
	assert_int_equal(device.requests, 256);
	assert_int_equal(kicks, 1);
	assert_int_equal(completions_seen, 1);
}

/* nIEN holds the interrupt back, polling works; enabled again, it comes. */
static void interrupts_off(void **state)
{
	(void)state;
	out(CONTROL, NIEN);
	task(DRIVE0, 1, 1, 0x20);
	settle();
	assert_false(lines.level[14]);
	assert_int_equal(in(BM_STATUS) & INTERRUPT, 0);
	assert_int_equal(in(ALT_STATUS), READY | DRQ);
	out(CONTROL, 0);
	assert_true(lines.level[14]);
	assert_int_equal(in(BM_STATUS) & INTERRUPT, INTERRUPT);
	assert_int_equal(in(ALT_STATUS), READY | DRQ);	/* does not acknowledge */
	assert_true(lines.level[14]);
	out(DEVICE, DRIVE1);		/* only the selected drive drives the line */
	assert_false(lines.level[14]);
	out(DEVICE, DRIVE0);
	assert_true(lines.level[14]);
	assert_int_equal(in(STATUS), READY | DRQ);
	assert_false(lines.level[14]);
	out(BM_STATUS, INTERRUPT);
	assert_int_equal(in(BM_STATUS) & INTERRUPT, 0);
}

static void two_drives(void **state)
{
	(void)state;
	task(DRIVE0, 3, 1, 0x20);
	out(DEVICE, DRIVE1);
	assert_int_equal(in(STATUS), 0);	/* not busy itself */
	out(COMMAND, 0xa1);			/* but one command per channel */
	assert_int_equal(kicks, 1);
	out(DEVICE, DRIVE0);
	assert_int_equal(in(STATUS), BSY);
	out(COMMAND, 0xec);
	assert_int_equal(kicks, 1);
	settle();
	assert_int_equal(take_interrupt(), READY | DRQ);
	out(DEVICE, DRIVE1);
	assert_int_equal(in_word(DATA), 0xffff);
	out(DEVICE, DRIVE0);
	read_words(words, 256);
	assert_pattern((u8 *)words, 0, 3, 1);
	/* the other channel at the same time */
	task(DRIVE0, 3, 1, 0x20);
	out(DEVICE - 0x80, DRIVE0);
	out(COUNT - 0x80, 1);
	out(LBA_LOW - 0x80, 99);
	out(COMMAND - 0x80, 0x20);
	settle();
	assert_true(lines.level[14] && lines.level[15]);
	assert_int_equal(in(STATUS - 0x80), READY | DRQ);
	assert_int_equal(in_word(DATA - 0x80), pattern(2, 99, 0) | pattern(2, 99, 1) << 8);
	assert_int_equal(in_word(DATA), pattern(0, 3, 0) | pattern(0, 3, 1) << 8);
}

static void diagnostic(void **state)
{
	(void)state;
	out(DEVICE, DRIVE1);
	out(COMMAND, 0x90);
	assert_int_equal(take_interrupt(), READY);
	assert_int_equal(in(DEVICE) & 0x10, 0);		/* drive 0 is selected */
	signature(DRIVE0, 0, 0, READY);
	signature(DRIVE1, 0x14, 0xeb, 0);
	assert_int_equal(kicks, 0);
	front.channel[0].drive[0].kind = AVMM_DISK_NONE;	/* drive 1 alone: there is nobody to interrupt */
	out(DEVICE, DRIVE1);
	out(COMMAND, 0x90);
	assert_false(lines.level[14]);
}

/* Nothing that a driver polls crosses. */
static void status_never_crosses(void **state)
{
	u32 i;

	(void)state;
	task(DRIVE0, 1, 1, 0x20);
	kicks = 0;
	for (i = 0; i < 1000; i++) {
		in(STATUS);
		in(ALT_STATUS);
		in(ERROR);
		in(BM_STATUS);
		out(DEVICE, i & 1 ? DRIVE1 : DRIVE0);
	}
	assert_int_equal(kicks, 0);
}

static void pci_function(void **state)
{
	(void)state;
	assert_int_equal(pci_config_read(&pci, config(0), 0, 4), 0x70108086);
	assert_int_equal(pci_config_read(&pci, config(8), 0, 4) >> 8, 0x010180);
	assert_int_equal(pci_config_read(&pci, config(0x40), 0, 4) & 0x80008000, 0x80008000);
	pci_config_write(&pci, config(0x20), 0, 4, 0xffffffff);
	assert_int_equal(pci_config_read(&pci, config(0x20), 0, 4), 0xfffffff1);	/* 16 ports, for who sizes it */
	assert_int_equal(bm_base, 0);
	pci_config_write(&pci, config(0x20), 0, 4, 0xd000);
	assert_int_equal(bm_base, 0xd000);
	out_long(0xd004, 0x12345677);
	assert_int_equal(bus_read(&ports, 0xd004, 4, now), 0x12345674);
	assert_int_equal(in(0xd005), 0x56);
	out(0xd00c, 0xff);
	assert_int_equal(in(0xd00c), 0xfc);
	pci_config_write(&pci, config(0x04), 0, 2, 4);
	assert_int_equal(bm_base, 0);
	assert_int_equal(bus_read(&ports, 0xd004, 4, now), 0xffffffff);
	pci_config_write(&pci, config(0x04), 0, 2, 5);
	ide_reset(&front);
	assert_int_equal(bm_base, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(after_power_on, begin, end),
		cmocka_unit_test_setup_teardown(probe, begin, end),
		cmocka_unit_test_setup_teardown(both_bytes_of_a_register, begin, end),
		cmocka_unit_test_setup_teardown(identify_device, begin, end),
		cmocka_unit_test_setup_teardown(identify_says_what_is_behind, begin, end),
		cmocka_unit_test_setup_teardown(set_features, begin, end),
		cmocka_unit_test_setup_teardown(refused, begin, end),
		cmocka_unit_test_setup_teardown(power_modes, begin, end),
		cmocka_unit_test_setup_teardown(flush, begin, end),
		cmocka_unit_test_setup_teardown(native_max, begin, end),
		cmocka_unit_test_setup_teardown(read_sectors, begin, end),
		cmocka_unit_test_setup_teardown(read_multiple, begin, end),
		cmocka_unit_test_setup_teardown(data_port_by_dwords, begin, end),
		cmocka_unit_test_setup_teardown(multiple_off, begin, end),
		cmocka_unit_test_setup_teardown(long_reads, begin, end),
		cmocka_unit_test_setup_teardown(write_sectors, begin, end),
		cmocka_unit_test_setup_teardown(write_multiple, begin, end),
		cmocka_unit_test_setup_teardown(write_through, begin, end),
		cmocka_unit_test_setup_teardown(write_protected, begin, end),
		cmocka_unit_test_setup_teardown(out_of_range, begin, end),
		cmocka_unit_test_setup_teardown(read_error, begin, end),
		cmocka_unit_test_setup_teardown(write_error, begin, end),
		cmocka_unit_test_setup_teardown(cylinders_heads_sectors, begin, end),
		cmocka_unit_test_setup_teardown(verify, begin, end),
		cmocka_unit_test_setup_teardown(interrupts_off, begin, end),
		cmocka_unit_test_setup_teardown(two_drives, begin, end),
		cmocka_unit_test_setup_teardown(diagnostic, begin, end),
		cmocka_unit_test_setup_teardown(status_never_crosses, begin, end),
		cmocka_unit_test_setup_teardown(pci_function, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
