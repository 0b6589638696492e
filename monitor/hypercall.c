// SPDX-License-Identifier: GPL-2.0-only
/* Hypercalls of the service partition. include/avmm/hypercall.h is their documentation. */
#include <avmm/hypercall.h>
#include <vmx/root/instr.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include "core.h"

#define EINVAL 22
#define FIRST_DEVICE_VECTOR 0x20

static s64 set_message_vector(struct cpu *cpu, u64 vector)
{
	if (vector && (vector < FIRST_DEVICE_VECTOR || vector > 0xff))
		return -EINVAL;
	cpu->message_vector = vector;
	return 0;
}

bool core_hypercall(struct vcpu *v)
{
	s64 result;

	switch (v->gpr[RAX]) {
	case AVMM_HC_VERSION:
		result = AVMM_ABI_VERSION;
		break;
	case AVMM_HC_LEAVE:
		vmx_skip_instruction();
		vmx_leave(v->cpu, 0);
	case AVMM_HC_MESSAGE_VECTOR:
		result = set_message_vector(v->cpu, v->gpr[RBX]);
		break;
	case AVMM_HC_DEBUG_FAULT:
		result = debug_fault(v->gpr[RBX]);
		break;
	default:
		return false;
	}
	v->gpr[RAX] = result;
	return true;
}
