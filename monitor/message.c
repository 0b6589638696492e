// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages to the module: there is something new in the shared pages. The monitor raises the vector that the module
 * has got from Linux for this CPU, as an IPI to ourselves. It stays pending in the local APIC and Linux takes it in
 * the ordinary way after the entry.
 */
#include "core.h"

void message_raise(struct cpu *cpu)
{
	if (!cpu->message_vector)
		return;
	cpu_count(cpu, AVMM_COUNT_MESSAGE);
	apic_self_ipi(cpu->message_vector);
}
