// SPDX-License-Identifier: GPL-2.0-only
/* Hypercalls of the service partition. include/avmm/hypercall.h is their documentation. */
#include <avmm/hypercall.h>
#include <vmx/root/insn.h>
#include <vmx/root/instr.h>
#include <vmx/root/root.h>
#include <vmx/root/upcalls.h>
#include "core.h"
#include "direct.h"
#include "legacy.h"
#include "partition.h"

#define EINVAL 22
#define FIRST_DEVICE_VECTOR 0x20

static s64 set_vector(u32 *kept, u64 vector)
{
	if (vector && (vector < FIRST_DEVICE_VECTOR || vector > 0xff))
		return -EINVAL;
	*kept = (u32)vector;
	return 0;
}

static s64 partition_call(struct vcpu *v)
{
	u64 b = v->gpr[RBX], c = v->gpr[RCX], d = v->gpr[RDX];

	switch (v->gpr[RAX]) {
	case AVMM_HC_PARTITION_CREATE:
		return partition_create(v->cpu, b);
	case AVMM_HC_PARTITION_RAM:
		return partition_ram(b, c, d);
	case AVMM_HC_PARTITION_START:
		return partition_start(v->cpu);
	case AVMM_HC_PARTITION_DESTROY:
		return partition_destroy(v->cpu);
	case AVMM_HC_PARTITION_PAUSE:
		return partition_pause(b);
	case AVMM_HC_PARTITION_BUTTON:
		return partition_button();
	case AVMM_HC_PARTITION_SHARES:
		return partition_shares(b, c, d);
	case AVMM_HC_PARTITION_FREEZE:
		return partition_freeze(b);
	case AVMM_HC_DISK:
		return partition_disk(b);
	case AVMM_HC_PARTITION_DEVICE:
		return direct_add(b);
	case AVMM_HC_DEVICE_INTERRUPT:
		return direct_interrupt(b, c);
	case AVMM_HC_DEVICE_MASTER:
		return direct_mastering(b, c);
	case AVMM_HC_PARTITION_LEGACY:
		return legacy_add(b, c, d);
	case AVMM_HC_PARTITION_LOOK:
		return partition_look(v->cpu);
	case AVMM_HC_PARTITION_TIMES:
		return shared_times();
	default:
		return partition_console();
	}
}

/* Of the user partition: on the shared CPU only. What they woke or stopped is decided before the next entry. */
static void shared_call(struct vcpu *v)
{
	if (v->cpu->number != AVMM_SHARED_CPU) {
		v->gpr[RAX] = -EINVAL;
		return;
	}
	shared_service_awake();
	v->gpr[RAX] = partition_call(v);
	shared_reschedule(v->cpu);
}

bool core_hypercall(struct vcpu *v)
{
	s64 result;

	switch (v->gpr[RAX]) {
	case AVMM_HC_PARTITION_CREATE ... AVMM_HC_PARTITION_TIMES:
	case AVMM_HC_PARTITION_DEVICE ... AVMM_HC_PARTITION_LEGACY:
		/* RIP first: the switch below may load another VMCS */
		vmx_skip_instruction();
		shared_call(v);
		return true;
	case AVMM_HC_VERSION:
		result = AVMM_ABI_VERSION;
		break;
	case AVMM_HC_LEAVE:
		vmx_skip_instruction();
		vmx_leave(v->cpu, 0);
	case AVMM_HC_MESSAGE_VECTOR:
		result = set_vector(&v->cpu->message_vector, v->gpr[RBX]);
		break;
	case AVMM_HC_KICK_VECTOR:
		result = set_vector(&v->cpu->kick_vector, v->gpr[RBX]);
		break;
	case AVMM_HC_FLUSH:
		invept(INV_SINGLE_CONTEXT, service_eptp());
		result = 0;
		break;
	case AVMM_HC_DEBUG_FAULT:
		result = debug_fault(v->gpr[RBX]);
		break;
	default:
		return false;
	}
	v->gpr[RAX] = result;
	vmx_skip_instruction();
	return true;
}
