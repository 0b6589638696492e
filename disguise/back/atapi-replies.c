// SPDX-License-Identifier: GPL-2.0-only
/* What a CD-ROM drive returns; see atapi.h. Layouts after MMC-3 and SPC-3. */
#include "atapi.h"

#define PROFILE_CD	0x0008
#define PROFILE_DVD	0x0010
#define CD_BLOCKS	405000u	/* 90 minutes: what is longer is a DVD */

#define LEAD_IN		150u	/* frames that addresses in minutes count from */
#define FRAMES		75u

#define TRACK_DATA	0x14	/* data track, position in the subchannel */
#define LEAD_OUT	0xaa

static void put16(u8 *p, u32 value)
{
	p[0] = (u8)(value >> 8);
	p[1] = (u8)value;
}

void atapi_put32(u8 *p, u32 value)
{
	put16(p, value >> 16);
	put16(p + 2, value);
}

static void put_padded(u8 *to, const char *from, u32 bytes)
{
	for (; bytes; bytes--)
		*to++ = *from ? (u8)*from++ : ' ';
}

/* The model's first word is the vendor. */
u32 atapi_inquiry(const struct ide_unit *unit, u8 *data)
{
	const char *product = unit->model;
	u32 i;

	memset(data, 0, 36);
	data[0] = 0x05;		/* CD-ROM */
	data[1] = 0x80;		/* removable */
	data[3] = 0x21;		/* ATAPI */
	data[4] = 36 - 5;
	memset(data + 8, ' ', 8);
	for (i = 0; i < 8 && *product && *product != ' '; i++)
		data[8 + i] = (u8)*product++;
	while (*product == ' ')
		product++;
	put_padded(data + 16, product, 16);
	put_padded(data + 32, unit->firmware, 4);
	return 36;
}

static void put_address(u8 *p, u32 lba, bool minutes)
{
	u32 frames = lba + LEAD_IN;

	if (!minutes) {
		atapi_put32(p, lba);
		return;
	}
	p[0] = 0;
	p[1] = (u8)(frames / FRAMES / 60);
	p[2] = (u8)(frames / FRAMES % 60);
	p[3] = (u8)(frames % FRAMES);
}

static u32 put_track(u8 *p, u8 number, u32 lba, bool minutes)
{
	p[0] = 0;
	p[1] = TRACK_DATA;
	p[2] = number;
	p[3] = 0;
	put_address(p + 4, lba, minutes);
	return 8;
}

/* One session with one track. Format 0 lists tracks, format 1 tells where the last session starts. */
u32 atapi_toc(u32 blocks, const u8 *packet, u8 *data)
{
	u8 format = packet[2] & 0x0f ? packet[2] & 0x0f : packet[9] >> 6, first = packet[6];
	bool minutes = packet[1] & 2;
	u32 bytes = 4;

	data[2] = 1;
	data[3] = 1;
	if (format > 1 || (!format && first > 1 && first != LEAD_OUT))
		return 0;
	if (format || first <= 1)
		bytes += put_track(data + bytes, 1, 0, minutes);
	if (!format)
		bytes += put_track(data + bytes, LEAD_OUT, blocks, minutes);
	put16(data, bytes - 2);
	return bytes;
}

struct feature {
	u16 code;
	u8 flags;	/* version, persistent, current */
	u8 bytes;
	u8 data[8];
};

static bool feature_wanted(const struct feature *f, const u8 *packet)
{
	u32 start = (u32)packet[2] << 8 | packet[3];
	u8 kind = packet[1] & 3;	/* all from start on, the current ones of them, or just start */

	if (kind == 2)
		return f->code == start;
	return f->code >= start && (kind == 0 || f->flags & 1);
}

u32 atapi_configuration(u32 blocks, const u8 *packet, u8 *data)
{
	u16 profile = !blocks ? 0 : blocks > CD_BLOCKS ? PROFILE_DVD : PROFILE_CD;
	const struct feature features[] = {
		{ 0x0000, 0x03, 8, {			/* profiles */
			0, PROFILE_DVD, profile == PROFILE_DVD, 0, 0, PROFILE_CD, profile == PROFILE_CD, 0,
		} },
		{ 0x0001, 0x0b, 8, { 0, 0, 0, 2, 1 } },		/* core: ATAPI */
		{ 0x0003, 0x03, 4, { 0x29 } },			/* tray, ejects, locks */
		{ 0x0010, profile ? 1 : 0, 8, { 0, 0, ATAPI_BLOCK >> 8, 0, 0, 1, 0, 0 } },	/* random reads */
		{ 0x001e, profile == PROFILE_CD ? 9 : 8, 4, { 0 } },	/* CD read */
		{ 0x001f, profile == PROFILE_DVD ? 1 : 0, 0, { 0 } },	/* DVD read */
	};
	u32 bytes = 8, i;

	memset(data, 0, 8);
	put16(data + 6, profile);
	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		const struct feature *f = &features[i];

		if (!feature_wanted(f, packet))
			continue;
		put16(data + bytes, f->code);
		data[bytes + 2] = f->flags;
		data[bytes + 3] = f->bytes;
		memcpy(data + bytes + 4, f->data, f->bytes);
		bytes += 4 + f->bytes;
	}
	atapi_put32(data, bytes - 4);
	return bytes;
}

/* A closed disc of one session. */
u32 atapi_disc_information(u8 *data)
{
	memset(data, 0, 34);
	data[1] = 32;
	data[2] = 0x0e;		/* last session complete, disc finalised */
	data[3] = 1;
	data[4] = 1;
	data[5] = 1;
	data[6] = 1;
	data[7] = 0x20;		/* unrestricted use */
	memset(data + 16, 0xff, 8);	/* no lead-in and lead-out to write */
	return 34;
}

static const u8 page_recovery[] = { 0x01, 0x06, 0x00, 0x05 };
static const u8 page_cdrom[] = { 0x0d, 0x06, 0x00, 0x00, 0x00, 60, 0x00, 75 };
static const u8 page_capabilities[] = {
	0x2a, 0x14, 0x3b, 0x00,		/* reads CD-R, CD-RW, DVD */
	0x40, 0x00, 0x29, 0x00,		/* multisession; tray, ejects, locks */
	0x15, 0x90, 0x00, 0x02,		/* 5,520 kB/s, that is 32x; 2 levels of volume */
	0x02, 0x00, 0x15, 0x90,		/* 512 kB of buffer; current speed */
};

static const struct {
	const u8 *data;
	u8 listed;	/* bytes of data; the rest of the page is zero */
	u8 bytes;
} pages[] = {
	{ page_recovery, sizeof(page_recovery), 8 },
	{ page_cdrom, sizeof(page_cdrom), 8 },
	{ page_capabilities, sizeof(page_capabilities), 22 },
};

u32 atapi_mode_sense(union atapi_state state, bool disc, u8 page, u8 *data)
{
	bool changeable = page >> 6 == 1;	/* which bits could be changed: none */
	u32 bytes = 8, i;

	memset(data, 0, ATAPI_REPLY_MAX);
	data[2] = disc ? 0x01 : state.flags & ATAPI_STATE_EJECTED ? 0x71 : 0x70;
	page &= 0x3f;
	for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		const u8 *from = pages[i].data;

		if (page != 0x3f && page != from[0])
			continue;
		memcpy(data + bytes, from, changeable ? 2 : pages[i].listed);
		if (from[0] == 0x2a && !changeable && (state.flags & ATAPI_STATE_PREVENT))
			data[bytes + 6] |= 0x02;	/* locked */
		bytes += pages[i].bytes;
	}
	if (bytes == 8)
		return 0;
	put16(data, bytes - 2);
	return bytes;
}

void atapi_identify(const struct ide_unit *unit, union atapi_state state, unsigned int drive, u8 data[512])
{
	memset(data, 0, 512);
	ata_put_word(data, 0, 0x85c0);		/* CD-ROM, removable, 12-byte packets, DRQ within 50 us */
	ata_identify_string(data + 2 * 10, unit->serial, 20);
	ata_identify_string(data + 2 * 23, unit->firmware, 8);
	ata_identify_string(data + 2 * 27, unit->model, 40);
	ata_put_modes(state.mode, drive, data);
	ata_put_word(data, 49, 0x0b00);		/* IORDY, LBA, DMA */
	ata_put_word(data, 80, 0x00f0);		/* ATA-4 to ATA-7 */
	ata_put_word(data, 82, 0x4218);		/* NOP, DEVICE RESET, PACKET, power management */
	ata_put_word(data, 83, 0x4000);
	ata_put_word(data, 84, 0x4000);
	ata_put_word(data, 85, 0x4218);
	ata_put_word(data, 87, 0x4000);
	ata_identify_seal(data);
}
