// SPDX-License-Identifier: GPL-2.0-only
/* SMBIOS structures; section numbers of DSP0134 2.8 behind them. */
#include <string.h>
#include "smbios.h"

#define UNKNOWN8	2u
#define MEMORY_ARRAY	0x1000u
#define MEMORY_DEVICE	0x1100u
#define KIB_MAX		0x7fffffffu	/* more: the extended field, in bytes */
#define MIB_MAX		0x7fffu		/* likewise, in MiB */

/* A structure that is being written: fields, then strings. */
struct structure {
	struct smbios *smbios;
	u32 at;
	u32 strings;
	char text[128];
	u32 text_size;
};

static void put(struct structure *s, u64 value, u32 bytes)
{
	for (; bytes; bytes--, value >>= 8)
		s->smbios->tables[s->smbios->size++] = (u8)value;
}

static void put_string(struct structure *s, const char *text)
{
	u32 size = (u32)strlen(text) + 1;

	memcpy(&s->text[s->text_size], text, size);
	s->text_size += size;
	put(s, ++s->strings, 1);
}

static struct structure begin(struct smbios *smbios, u8 type, u16 handle)
{
	struct structure s = { .smbios = smbios, .at = smbios->size };

	put(&s, type, 1);
	put(&s, 0, 1);			/* length: end() */
	put(&s, handle, 2);
	return s;
}

static void end(struct structure *s)
{
	struct smbios *smbios = s->smbios;

	smbios->tables[s->at + 1] = (u8)(smbios->size - s->at);
	memcpy(&smbios->tables[smbios->size], s->text, s->text_size);
	smbios->size += s->text_size;
	put(s, 0, s->strings ? 1 : 2);
	smbios->count++;
	if (smbios->size - s->at > smbios->largest)
		smbios->largest = smbios->size - s->at;
}

/* 7.2 */
static void put_system(struct smbios *smbios)
{
	struct structure s = begin(smbios, 1, 0x100);

	put_string(&s, "AVMM");
	put_string(&s, "User partition");
	put_string(&s, "1");
	put(&s, 0, 1);			/* serial number */
	put(&s, 0, 8);			/* UUID: none */
	put(&s, 0, 8);
	put(&s, 6, 1);			/* wake-up: power switch */
	put(&s, 0, 2);			/* SKU, family */
	end(&s);
}

/* 7.4 */
static void put_chassis(struct smbios *smbios)
{
	struct structure s = begin(smbios, 3, 0x300);

	put_string(&s, "AVMM");
	put(&s, 3, 1);			/* desktop */
	put(&s, 0, 3);			/* version, serial number, asset tag */
	put(&s, 3, 1);			/* boot-up, power and thermal state: safe */
	put(&s, 3, 1);
	put(&s, 3, 1);
	put(&s, UNKNOWN8, 1);		/* security */
	put(&s, 0, 8);			/* OEM, height, power cords, contained elements */
	put(&s, 0, 1);			/* SKU */
	end(&s);
}

/* 7.5 */
static void put_processors(struct smbios *smbios, u32 vcpus)
{
	struct structure s = begin(smbios, 4, 0x400);
	u32 few = vcpus < 255 ? vcpus : 255;

	put_string(&s, "CPU 0");
	put(&s, 3, 1);			/* central processor */
	put(&s, 1, 1);			/* family: other */
	put_string(&s, "AVMM");
	put(&s, 0, 8);			/* ID: CPUID says it better */
	put(&s, 0, 2);			/* version, voltage */
	put(&s, 0, 6);			/* external clock, maximum and current speed */
	put(&s, 0x41, 1);		/* populated, enabled */
	put(&s, 1, 1);			/* upgrade: other */
	put(&s, 0xffff, 2);		/* caches: none described */
	put(&s, 0xffff, 2);
	put(&s, 0xffff, 2);
	put(&s, 0, 3);
	put(&s, few, 1);		/* cores, enabled, threads */
	put(&s, few, 1);
	put(&s, few, 1);
	put(&s, vcpus > 1 ? 0x0c : 0x04, 2);	/* 64-bit, multi-core */
	put(&s, 1, 2);			/* family, once more */
	end(&s);
}

/* 7.17 and 7.18: one array with one module of all of it. */
static void put_memory(struct smbios *smbios, u64 memory)
{
	u64 kib = memory >> 10, mib = memory >> 20;
	struct structure s = begin(smbios, 16, MEMORY_ARRAY);

	put(&s, 3, 1);			/* on the system board */
	put(&s, 3, 1);			/* system memory */
	put(&s, 3, 1);			/* no error correction */
	put(&s, kib > KIB_MAX ? KIB_MAX + 1 : kib, 4);
	put(&s, 0xfffe, 2);		/* no error information */
	put(&s, 1, 2);			/* devices */
	put(&s, kib > KIB_MAX ? memory : 0, 8);
	end(&s);

	s = begin(smbios, 17, MEMORY_DEVICE);
	put(&s, MEMORY_ARRAY, 2);
	put(&s, 0xfffe, 2);
	put(&s, 0xffff, 2);		/* widths: unknown */
	put(&s, 0xffff, 2);
	put(&s, mib >= MIB_MAX ? MIB_MAX : mib, 2);
	put(&s, 9, 1);			/* DIMM */
	put(&s, 0, 1);
	put_string(&s, "DIMM 0");
	put(&s, 0, 1);
	put(&s, 7, 1);			/* RAM */
	put(&s, 2, 2);			/* no detail */
	put(&s, 0, 2);			/* speed: unknown */
	put(&s, 0, 5);			/* manufacturer, serial number, asset tag, part number, attributes */
	put(&s, mib >= MIB_MAX ? mib : 0, 4);
	put(&s, 0, 2);
	put(&s, 0, 6);			/* voltages */
	end(&s);
}

/* 7.20: where the memory is, on one side of the PCI hole or on both. */
static void put_range(struct smbios *smbios, u16 handle, u64 first, u64 last)
{
	bool far = last >> 10 >= 0xffffffffu;
	struct structure s = begin(smbios, 19, handle);

	put(&s, far ? 0xffffffffu : first >> 10, 4);
	put(&s, far ? 0xffffffffu : last >> 10, 4);
	put(&s, MEMORY_ARRAY, 2);
	put(&s, 1, 1);
	put(&s, far ? first : 0, 8);
	put(&s, far ? last : 0, 8);
	end(&s);
}

/* 5.2.1 */
static void put_anchor(struct smbios *smbios)
{
	u8 *a = smbios->anchor;

	memcpy(a, "_SM_", 4);
	a[5] = SMBIOS_ANCHOR;
	a[6] = 2;
	a[7] = 8;
	a[8] = (u8)smbios->largest;
	a[9] = (u8)(smbios->largest >> 8);
	memcpy(&a[16], "_DMI_", 5);
	a[22] = (u8)smbios->size;
	a[23] = (u8)(smbios->size >> 8);
	a[28] = (u8)smbios->count;
	a[29] = (u8)(smbios->count >> 8);
	a[30] = 0x28;
}

void smbios_build(struct smbios *smbios, u64 memory, u32 vcpus)
{
	const u64 hole = 0xc0000000ull, four_gib = 1ull << 32;
	struct structure s;

	memset(smbios, 0, sizeof(*smbios));
	put_system(smbios);
	put_chassis(smbios);
	put_processors(smbios, vcpus);
	put_memory(smbios, memory);
	put_range(smbios, 0x1300, 0, (memory < hole ? memory : hole) - 1);
	if (memory > hole)
		put_range(smbios, 0x1301, four_gib, four_gib + memory - hole - 1);
	s = begin(smbios, 32, 0x2000);		/* 7.33: boot status, no error */
	put(&s, 0, 6);
	put(&s, 0, 1);
	end(&s);
	s = begin(smbios, 127, 0x7f00);
	end(&s);
	put_anchor(smbios);
}
