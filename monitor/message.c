// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages to the module: there is something new in the shared pages. The monitor raises the vector that the module
 * has got from Linux for this CPU, as an IPI to ourselves. It stays pending in the local APIC and Linux takes it in
 * the ordinary way after the entry. A CPU that the service has given up sends it to the shared CPU.
 */
#include <avmm/partition.h>
#include "core.h"

void message_raise(struct cpu *cpu)
{
	const struct cpu *shared = machine.cpu[AVMM_SHARED_CPU];

	if (!cpu->dedicated) {
		if (!cpu->message_vector)
			return;
		cpu_count(cpu, AVMM_COUNT_MESSAGE);
		apic_self_ipi(cpu->message_vector);
	} else if (shared->message_vector) {
		cpu_count(cpu, AVMM_COUNT_MESSAGE);
		apic_send_ipi(shared->apic_id, shared->message_vector);
	}
}
