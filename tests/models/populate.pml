/* SPDX-License-Identifier: GPL-2.0 */
/*
 * mmap() of p2pmem/allocate against the removal of the file: no PTE survives.
 *
 * kernfs_vma_mapped() populates when the VMA can be found through the inode, with
 * an active reference: either the file is still there, and then the removal waits
 * for it and finds the VMA, or the mapping is refused.
 *
 * RUN pass
 * RUN fail POPULATE_EARLY	pte
 * RUN fail NO_ACTIVE		pte
 * RUN fail NO_DRAIN		pte
 * RUN fail UNMAP_FIRST		pte
 * RUN fail NO_COUNT		pte
 */
byte users;
bool dead;			/* deactivated: no more active references */
bool in_i_mmap[2];		/* the VMA can be found through the inode */
bool pte[2];
byte nr_mmapped;		/* files whose mappings have to be unmapped */
bool removed;

inline get_active()
{
	atomic {
		if
		:: dead -> goto refused
		:: else -> users++
		fi
	}
}

proctype mapper(byte me)
{
	get_active();			/* kernfs_fop_mmap_prepare() */
#ifndef NO_COUNT
	nr_mmapped++;
#endif
#ifdef POPULATE_EARLY
	pte[me] = 1;
#endif
	users--;
	in_i_mmap[me] = 1;		/* vma_link(), by the caller */
#ifndef POPULATE_EARLY
#ifndef NO_ACTIVE
	get_active();			/* kernfs_vma_mapped() */
#endif
	pte[me] = 1;
#ifndef NO_ACTIVE
	users--
#else
	skip
#endif
#endif
	;
refused:
	skip
}

inline unmap()
{
	i = 0;
	do
	:: i < 2 ->
		if
		:: in_i_mmap[i] && nr_mmapped > 0 -> pte[i] = 0
		:: else
		fi;
		i++
	:: else -> break
	od
}

proctype removal()
{
	byte i;

	dead = 1;
#ifdef UNMAP_FIRST
	unmap();
	users == 0;
#else
#ifndef NO_DRAIN
	users == 0;
#endif
	unmap();
#endif
	removed = 1
}

init
{
	atomic { run mapper(0); run mapper(1); run removal() }
	_nr_pr == 1;
	assert(removed && !pte[0] && !pte[1])
}
