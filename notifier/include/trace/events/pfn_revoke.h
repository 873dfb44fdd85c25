/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PFN-range revocation, see mm/pfn_revoke.c. A pin is named by the PFNs that it
 * begins with and by its owner's pid in the initial namespace. PFNs are
 * inclusive.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM pfn_revoke

#if !defined(_TRACE_PFN_REVOKE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_PFN_REVOKE_H

#include <linux/pfn_revoke.h>
#include <linux/pid.h>
#include <linux/tracepoint.h>

/*
 * attach: PFNs are attached, maybe as more of a pin. detach: a whole pin goes;
 * @value says whether it had been revoked. start, finish: a callback has
 * returned, after @value nanoseconds.
 */
DECLARE_EVENT_CLASS(pfn_pin,
		    TP_PROTO(const char *provider, const struct pfn_pin *pin,
			     unsigned long first, unsigned long last, u64 value),

		    TP_ARGS(provider, pin, first, last, value),

		    TP_STRUCT__entry(__field(unsigned long, first)
				     __field(unsigned long, last)
				     __string(provider, provider)
				     __string(consumer, pin->ops->name)
				     __field(pid_t, pid)
				     __field(u64, value)
		    ),

		    TP_fast_assign(__entry->first = first;
				   __entry->last = last;
				   __assign_str(provider);
				   __assign_str(consumer);
				   __entry->pid = pid_nr(pin->pid);
				   __entry->value = value;
		    ),

		    TP_printk("pfns=0x%lx-0x%lx provider=%s consumer=%s pid=%d",
			      __entry->first, __entry->last, __get_str(provider),
			      __get_str(consumer), __entry->pid)
);

DEFINE_EVENT(pfn_pin, pfn_pin_attach,
	     TP_PROTO(const char *provider, const struct pfn_pin *pin,
		      unsigned long first, unsigned long last, u64 value),
	     TP_ARGS(provider, pin, first, last, value));

DEFINE_EVENT_PRINT(pfn_pin, pfn_pin_detach,
		   TP_PROTO(const char *provider, const struct pfn_pin *pin,
			    unsigned long first, unsigned long last, u64 value),
		   TP_ARGS(provider, pin, first, last, value),
		   TP_printk("pfns=0x%lx-0x%lx provider=%s consumer=%s pid=%d revoked=%llu",
			     __entry->first, __entry->last, __get_str(provider),
			     __get_str(consumer), __entry->pid, __entry->value));

DEFINE_EVENT_PRINT(pfn_pin, pfn_pin_start,
		   TP_PROTO(const char *provider, const struct pfn_pin *pin,
			    unsigned long first, unsigned long last, u64 value),
		   TP_ARGS(provider, pin, first, last, value),
		   TP_printk("pfns=0x%lx-0x%lx provider=%s consumer=%s pid=%d ns=%llu",
			     __entry->first, __entry->last, __get_str(provider),
			     __get_str(consumer), __entry->pid, __entry->value));

DEFINE_EVENT_PRINT(pfn_pin, pfn_pin_finish,
		   TP_PROTO(const char *provider, const struct pfn_pin *pin,
			    unsigned long first, unsigned long last, u64 value),
		   TP_ARGS(provider, pin, first, last, value),
		   TP_printk("pfns=0x%lx-0x%lx provider=%s consumer=%s pid=%d ns=%llu",
			     __entry->first, __entry->last, __get_str(provider),
			     __get_str(consumer), __entry->pid, __entry->value));

/* PFNs are about to be closed */
TRACE_EVENT(pfn_revoke_begin,
	    TP_PROTO(const char *provider, unsigned long first, unsigned long last),

	    TP_ARGS(provider, first, last),

	    TP_STRUCT__entry(__field(unsigned long, first)
			     __field(unsigned long, last)
			     __string(provider, provider)
	    ),

	    TP_fast_assign(__entry->first = first;
			   __entry->last = last;
			   __assign_str(provider);
	    ),

	    TP_printk("pfns=0x%lx-0x%lx provider=%s", __entry->first,
		      __entry->last, __get_str(provider))
);

/* The provider waits no longer, after @ns: @pins were claimed, by this call */
TRACE_EVENT(pfn_revoke_end,
	    TP_PROTO(const char *provider, unsigned long first, unsigned long last,
		     unsigned long pins, u64 ns, int err),

	    TP_ARGS(provider, first, last, pins, ns, err),

	    TP_STRUCT__entry(__field(unsigned long, first)
			     __field(unsigned long, last)
			     __string(provider, provider)
			     __field(unsigned long, pins)
			     __field(u64, ns)
			     __field(int, err)
	    ),

	    TP_fast_assign(__entry->first = first;
			   __entry->last = last;
			   __assign_str(provider);
			   __entry->pins = pins;
			   __entry->ns = ns;
			   __entry->err = err;
	    ),

	    TP_printk("pfns=0x%lx-0x%lx provider=%s pins=%lu ns=%llu err=%d",
		      __entry->first, __entry->last, __get_str(provider),
		      __entry->pins, __entry->ns, __entry->err)
);

#endif /* _TRACE_PFN_REVOKE_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
