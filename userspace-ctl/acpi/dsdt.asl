// SPDX-License-Identifier: GPL-2.0-only
/*
 * The user partition's devices. What depends on the configuration is in the SSDT that acpi.c builds: the processors,
 * the window for 64-bit BARs, and which optional devices are there.
 *
 * dsdt.h is made of this file: run "make" here after a change. The unit test says if that was forgotten.
 */
DefinitionBlock ("", "DSDT", 2, "AVMM  ", "AVMMDSDT", 1)
{
	External (\P64S, IntObj)	// first address of the 64-bit window
	External (\P64L, IntObj)	// its length; 0: there is none
	External (\I804, IntObj)	// i8042 keyboard controller
	External (\FWEN, IntObj)	// firmware configuration interface

	Name (\_S5, Package () { 0, 0, 0, 0 })	// PM_SLEEP_TYPE_S5 in vdev/pmtimer.h
	Name (\PICM, 0)

	Method (\_PIC, 1)
	{
		\PICM = Arg0
	}

	Scope (\_SB)
	{
		Device (HPET)
		{
			Name (_HID, EisaId ("PNP0103"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate () {
				Memory32Fixed (ReadOnly, 0xFED00000, 0x400)
			})
		}

		// Fixed places that no PCI device may be put on
		Device (MBRD)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, 0x0061, 0x0061, 0, 1)	// PIT channel 2
				IO (Decode16, 0x0092, 0x0092, 0, 1)	// port 92h
				IO (Decode16, 0x00B2, 0x00B2, 0, 2)	// APM
				IO (Decode16, 0x0402, 0x0402, 0, 1)	// debug port
				IO (Decode16, 0x04D0, 0x04D0, 0, 2)	// ELCR
				IO (Decode16, 0x0600, 0x0600, 0, 0x40)	// power management
				Memory32Fixed (ReadWrite, 0xFEC00000, 0x1000)
				Memory32Fixed (ReadWrite, 0xFEE00000, 0x1000)
			})
		}

		Device (FWCF)
		{
			Name (_HID, "QEMU0002")
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, 0x0510, 0x0510, 1, 0x0C)
			})
			Method (_STA)
			{
				If (\FWEN)
				{
					Return (0x0B)
				}
				Return (0)
			}
		}

		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (LOW, ResourceTemplate () {
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0xFF, 0, 0x100)
				IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x0000, 0x0CF7, 0, 0x0CF8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x0D00, 0xFFFF, 0, 0xF300)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
					0, 0x000A0000, 0x000BFFFF, 0, 0x00020000)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
					0, 0xC0000000, 0xFEBFFFFF, 0, 0x3EC00000)
			})
			Name (HIGH, ResourceTemplate () {
				QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
					0, 0x100000000, 0x1FFFFFFFF, 0, 0x100000000, , , WIN)
			})
			Method (_CRS, 0, Serialized)
			{
				If (!\P64L)
				{
					Return (LOW)
				}
				CreateQWordField (HIGH, \_SB.PCI0.WIN._MIN, FRST)
				CreateQWordField (HIGH, \_SB.PCI0.WIN._MAX, LAST)
				CreateQWordField (HIGH, \_SB.PCI0.WIN._LEN, SIZE)
				FRST = \P64S
				SIZE = \P64L
				LAST = \P64S + \P64L - 1
				Return (ConcatenateResTemplate (LOW, HIGH))
			}

			// Pin p (0: INTA) of device d is PIRQ (d + p - 1) mod 4, with the 8259s and the I/O APIC
			// alike. Arg0 is 4 * d + p.
			Method (PINR, 1, Serialized)
			{
				Local0 = (Arg0 >> 2) << 16 | 0xFFFF
				Local1 = Arg0 & 3
				Switch (ToInteger ((Arg0 >> 2) + Arg0 + 3 & 3))
				{
					Case (0) { Local2 = Package (4) { 0, 0, LNKA, 0 } }
					Case (1) { Local2 = Package (4) { 0, 0, LNKB, 0 } }
					Case (2) { Local2 = Package (4) { 0, 0, LNKC, 0 } }
					Default { Local2 = Package (4) { 0, 0, LNKD, 0 } }
				}
				Local2[0] = Local0
				Local2[1] = Local1
				Return (Local2)
			}

			Method (_PRT, 0, Serialized)
			{
				Local0 = Package (128) {}
				Local1 = 0
				While (Local1 < 128)
				{
					Local0[Local1] = PINR (Local1)
					Local1++
				}
				Return (Local0)
			}

			Device (ISA)
			{
				Name (_ADR, 0x00010000)
				OperationRegion (PIRQ, PCI_Config, 0x60, 4)
				Field (PIRQ, ByteAcc, NoLock, Preserve)
				{
					RTEA, 8,
					RTEB, 8,
					RTEC, 8,
					RTED, 8
				}

				Device (PIC)
				{
					Name (_HID, EisaId ("PNP0000"))
					Name (_CRS, ResourceTemplate () {
						IO (Decode16, 0x0020, 0x0020, 0, 2)
						IO (Decode16, 0x00A0, 0x00A0, 0, 2)
						IRQNoFlags () { 2 }
					})
				}

				Device (RTC)
				{
					Name (_HID, EisaId ("PNP0B00"))
					Name (_CRS, ResourceTemplate () {
						IO (Decode16, 0x0070, 0x0070, 1, 8)
						IRQNoFlags () { 8 }
					})
				}

				Device (TIMR)
				{
					Name (_HID, EisaId ("PNP0100"))
					Name (_CRS, ResourceTemplate () {
						IO (Decode16, 0x0040, 0x0040, 0, 4)
						IRQNoFlags () { 0 }
					})
				}

				Device (COM1)
				{
					Name (_HID, EisaId ("PNP0501"))
					Name (_UID, 1)
					Name (_CRS, ResourceTemplate () {
						IO (Decode16, 0x03F8, 0x03F8, 0, 8)
						IRQNoFlags () { 4 }
					})
				}

				Device (KBD)
				{
					Name (_HID, EisaId ("PNP0303"))
					Name (_CRS, ResourceTemplate () {
						IO (Decode16, 0x0060, 0x0060, 1, 1)
						IO (Decode16, 0x0064, 0x0064, 1, 1)
						IRQNoFlags () { 1 }
					})
					Method (_STA)
					{
						If (\I804)
						{
							Return (0x0F)
						}
						Return (0)
					}
				}

				Device (MOU)
				{
					Name (_HID, EisaId ("PNP0F13"))
					Name (_CRS, ResourceTemplate () {
						IRQNoFlags () { 12 }
					})
					Method (_STA)
					{
						If (\I804)
						{
							Return (0x0F)
						}
						Return (0)
					}
				}
			}
		}

		// PIRQ route registers of PIIX3: bit 7 is "off", bits 3:0 are the IRQ
		Name (LIRQ, ResourceTemplate () {
			Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 5, 10, 11 }
		})
		Name (ROUT, ResourceTemplate () {
			Interrupt (ResourceConsumer, Level, ActiveHigh, Shared, , , IRQN) { 0 }
		})

		Method (STAT, 1)
		{
			If (Arg0 & 0x80)
			{
				Return (0x09)
			}
			Return (0x0B)
		}

		Method (CRSR, 1, Serialized)
		{
			CreateDWordField (ROUT, \_SB.IRQN._INT, LINE)
			LINE = Arg0 & 0x0F
			If (Arg0 & 0x80)
			{
				LINE = 0
			}
			Return (ROUT)
		}

		Method (LINE, 1)
		{
			CreateDWordField (Arg0, 5, WANT)
			Return (WANT)
		}

		Device (LNKA)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 0)
			Method (_PRS) { Return (LIRQ) }
			Method (_STA) { Return (STAT (^^PCI0.ISA.RTEA)) }
			Method (_DIS) { ^^PCI0.ISA.RTEA |= 0x80 }
			Method (_CRS, 0, Serialized) { Return (CRSR (^^PCI0.ISA.RTEA)) }
			Method (_SRS, 1) { ^^PCI0.ISA.RTEA = LINE (Arg0) }
		}

		Device (LNKB)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 1)
			Method (_PRS) { Return (LIRQ) }
			Method (_STA) { Return (STAT (^^PCI0.ISA.RTEB)) }
			Method (_DIS) { ^^PCI0.ISA.RTEB |= 0x80 }
			Method (_CRS, 0, Serialized) { Return (CRSR (^^PCI0.ISA.RTEB)) }
			Method (_SRS, 1) { ^^PCI0.ISA.RTEB = LINE (Arg0) }
		}

		Device (LNKC)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 2)
			Method (_PRS) { Return (LIRQ) }
			Method (_STA) { Return (STAT (^^PCI0.ISA.RTEC)) }
			Method (_DIS) { ^^PCI0.ISA.RTEC |= 0x80 }
			Method (_CRS, 0, Serialized) { Return (CRSR (^^PCI0.ISA.RTEC)) }
			Method (_SRS, 1) { ^^PCI0.ISA.RTEC = LINE (Arg0) }
		}

		Device (LNKD)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 3)
			Method (_PRS) { Return (LIRQ) }
			Method (_STA) { Return (STAT (^^PCI0.ISA.RTED)) }
			Method (_DIS) { ^^PCI0.ISA.RTED |= 0x80 }
			Method (_CRS, 0, Serialized) { Return (CRSR (^^PCI0.ISA.RTED)) }
			Method (_SRS, 1) { ^^PCI0.ISA.RTED = LINE (Arg0) }
		}
	}
}
