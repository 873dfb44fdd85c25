/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PFN-range revocation, see mm/pfn_revoke.c. A pin is named by its owner's pid
 * and @since, the time at which it was made: CLOCK_BOOTTIME in ns. Both are those
 * of the initial namespaces; /proc/pfn_revoke has them as its reader's, the time
 * cut to us. PFNs are inclusive.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM pfn_revoke

#if !defined(_TRACE_PFN_REVOKE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_PFN_REVOKE_H

#include <linux/sched.h>
#include <linux/tracepoint.h>
#include <linux/types.h>

/* PFNs are attached, maybe as more of the pin's last run; or a whole run goes */
DECLARE_EVENT_CLASS(pfn_pin_run,
		    TP_PROTO(unsigned long first, unsigned long last,
			     const char *provider, const char *consumer,
			     pid_t pid, const char *comm, u64 since,
			     bool revoked),

		    TP_ARGS(first, last, provider, consumer, pid, comm, since,
			    revoked),

		    TP_STRUCT__entry(__field(unsigned long, first)
				     __field(unsigned long, last)
				     __string(provider, provider)
				     __string(consumer, consumer)
				     __field(pid_t, pid)
				     __array(char, comm, TASK_COMM_LEN)
				     __field(u64, since)
				     __field(bool, revoked)
		    ),

		    TP_fast_assign(__entry->first = first;
				   __entry->last = last;
				   __assign_str(provider);
				   __assign_str(consumer);
				   __entry->pid = pid;
				   memcpy(__entry->comm, comm, TASK_COMM_LEN);
				   __entry->since = since;
				   __entry->revoked = revoked;
		    ),

		    TP_printk("pfns=0x%lx-0x%lx provider=%s consumer=%s pid=%d comm=%s since=%llu revoked=%d",
			      __entry->first, __entry->last,
			      __get_str(provider), __get_str(consumer),
			      __entry->pid, __entry->comm, __entry->since,
			      __entry->revoked)
);

DEFINE_EVENT(pfn_pin_run, pfn_pin_attach,
	     TP_PROTO(unsigned long first, unsigned long last,
		      const char *provider, const char *consumer, pid_t pid,
		      const char *comm, u64 since, bool revoked),
	     TP_ARGS(first, last, provider, consumer, pid, comm, since,
		     revoked));

DEFINE_EVENT(pfn_pin_run, pfn_pin_detach,
	     TP_PROTO(unsigned long first, unsigned long last,
		      const char *provider, const char *consumer, pid_t pid,
		      const char *comm, u64 since, bool revoked),
	     TP_ARGS(first, last, provider, consumer, pid, comm, since,
		     revoked));

/* A callback of a pin has returned, after @ns; the PFNs are its first run */
DECLARE_EVENT_CLASS(pfn_pin_callback,
		    TP_PROTO(unsigned long first, unsigned long last,
			     const char *provider, const char *consumer,
			     pid_t pid, const char *comm, u64 since, u64 ns),

		    TP_ARGS(first, last, provider, consumer, pid, comm, since,
			    ns),

		    TP_STRUCT__entry(__field(unsigned long, first)
				     __field(unsigned long, last)
				     __string(provider, provider)
				     __string(consumer, consumer)
				     __field(pid_t, pid)
				     __array(char, comm, TASK_COMM_LEN)
				     __field(u64, since)
				     __field(u64, ns)
		    ),

		    TP_fast_assign(__entry->first = first;
				   __entry->last = last;
				   __assign_str(provider);
				   __assign_str(consumer);
				   __entry->pid = pid;
				   memcpy(__entry->comm, comm, TASK_COMM_LEN);
				   __entry->since = since;
				   __entry->ns = ns;
		    ),

		    TP_printk("pfns=0x%lx-0x%lx provider=%s consumer=%s pid=%d comm=%s since=%llu ns=%llu",
			      __entry->first, __entry->last,
			      __get_str(provider), __get_str(consumer),
			      __entry->pid, __entry->comm, __entry->since,
			      __entry->ns)
);

DEFINE_EVENT(pfn_pin_callback, pfn_pin_start,
	     TP_PROTO(unsigned long first, unsigned long last,
		      const char *provider, const char *consumer, pid_t pid,
		      const char *comm, u64 since, u64 ns),
	     TP_ARGS(first, last, provider, consumer, pid, comm, since, ns));

DEFINE_EVENT(pfn_pin_callback, pfn_pin_finish,
	     TP_PROTO(unsigned long first, unsigned long last,
		      const char *provider, const char *consumer, pid_t pid,
		      const char *comm, u64 since, u64 ns),
	     TP_ARGS(first, last, provider, consumer, pid, comm, since, ns));

/* A broadcast begins, before anything is shut */
TRACE_EVENT(pfn_revoke_begin,
	    TP_PROTO(unsigned long first, unsigned long last),

	    TP_ARGS(first, last),

	    TP_STRUCT__entry(__field(unsigned long, first)
			     __field(unsigned long, last)
	    ),

	    TP_fast_assign(__entry->first = first;
			   __entry->last = last;
	    ),

	    TP_printk("pfns=0x%lx-0x%lx",
		      __entry->first, __entry->last)
);

/* And is over, after @ns; @pins is how many it has revoked itself */
TRACE_EVENT(pfn_revoke_end,
	    TP_PROTO(unsigned long first, unsigned long last, unsigned int pins,
		     u64 ns, int err),

	    TP_ARGS(first, last, pins, ns, err),

	    TP_STRUCT__entry(__field(unsigned long, first)
			     __field(unsigned long, last)
			     __field(unsigned int, pins)
			     __field(u64, ns)
			     __field(int, err)
	    ),

	    TP_fast_assign(__entry->first = first;
			   __entry->last = last;
			   __entry->pins = pins;
			   __entry->ns = ns;
			   __entry->err = err;
	    ),

	    TP_printk("pfns=0x%lx-0x%lx pins=%u ns=%llu err=%d",
		      __entry->first, __entry->last, __entry->pins,
		      __entry->ns, __entry->err)
);

#endif /* _TRACE_PFN_REVOKE_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
