/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The monitor's image. Whatever the compiler invents beyond these sections is an error: no GOT, no PLT, no relocation,
 * nothing that would need a loader.
 */
#include <avmm/boot.h>

#define PAGE 4096

OUTPUT_FORMAT("elf64-x86-64")
ENTRY(monitor_init)

SECTIONS
{
	. = AVMM_MONITOR_BASE;
	image_start = .;
	.rodata : {
		KEEP(*(.header))
		*(.rodata .rodata.*)
		. = ALIGN(8);
		extable_start = .;
		KEEP(*(.extable))
		extable_end = .;
		symtab_start = .;
		KEEP(*(.symtab_data))
		. = ALIGN(PAGE);
	}
	image_rodata_size = . - image_start;

	image_text = .;
	.text : {
		*(.text .text.*)
		image_text_end = .;
		. = ALIGN(PAGE);
	}
	image_text_size = . - image_text;
	image_text_bytes = image_text_end - image_text;

	image_data = .;
	.data : {
		*(.data .data.*)
		*(.bss .bss.* COMMON)
		. = ALIGN(PAGE);
	}
	image_data_size = . - image_data;

	.got : { *(.got .got.* .igot .igot.*) }
	.plt : { *(.plt .plt.* .iplt) }
	.rela : { *(.rela .rela.* .rel.*) }
	ASSERT(SIZEOF(.got) == 0, "the monitor needs no GOT")
	ASSERT(SIZEOF(.plt) == 0, "the monitor needs no PLT")
	ASSERT(SIZEOF(.rela) == 0, "the monitor has no relocations")

	.symtab : { *(.symtab) }
	.strtab : { *(.strtab) }
	.shstrtab : { *(.shstrtab) }
	/DISCARD/ : { *(.comment .note .note.* .eh_frame .discard .discard.*) }
}
