// SPDX-License-Identifier: GPL-2.0-only
/*
 * A UEFI program that counts its starts in a variable and says so; then it resets the machine, after an even number it
 * powers it off. Offsets are those of the UEFI specification's tables, 64 bits.
 */
typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

#define CONSOLE_OUT		64	/* in the system table */
#define RUNTIME_SERVICES	88
#define GET_VARIABLE		72	/* in the runtime services */
#define SET_VARIABLE		88
#define RESET_SYSTEM		104
#define OUTPUT_STRING		8	/* in the console's protocol */

#define KEPT			7	/* non-volatile, for boot and run time */
#define COLD			0
#define POWER_OFF		2

struct guid {
	u32 a;
	u16 b, c;
	u8 d[8];
};

static const struct guid vendor = { 0x6d6d7661, 0x7473, 0x7261, { 0x80, 1, 2, 3, 4, 5, 6, 7 } };

static void *at(void *table, u32 offset)
{
	return *(void **)((u8 *)table + offset);
}

u64 start(void *image, void *system)
{
	static u16 name[] = u"AvmmStarts", text[] = u"UEFI program: start 0 of this machine\r\n";
	void *runtime = at(system, RUNTIME_SERVICES), *out = at(system, CONSOLE_OUT);
	u64 (*get)(u16 *, const struct guid *, u32 *, u64 *, void *) = at(runtime, GET_VARIABLE);
	u64 (*set)(u16 *, const struct guid *, u32, u64, const void *) = at(runtime, SET_VARIABLE);
	void (*reset)(u32, u64, u64, void *) = at(runtime, RESET_SYSTEM);
	u64 (*print)(void *, u16 *) = at(out, OUTPUT_STRING);
	u64 size = 1;
	u8 starts = 0;
	u32 attributes;

	(void)image;
	if (get(name, &vendor, &attributes, &size, &starts))
		starts = 0;
	starts++;
	text[20] += starts;
	if (set(name, &vendor, KEPT, 1, &starts))
		text[20] = '?';
	print(out, text);
	reset(starts % 2 ? COLD : POWER_OFF, 0, 0, 0);
	return 0;
}
