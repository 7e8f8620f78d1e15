/* process.h - how a process is called, when it dies, and what it weighs.
 *
 * Linux only. Main thread only, except process_rss_bytes(). */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/* Remembers where the arguments lie, for process_set_name(). To be called once
 * in main(), before anything changes argv[]. Children inherit it. */
void process_title_init(int argc, char **argv);

/* Shows @name in ps and top: as the thread's name (its first 15 bytes,
 * prctl(2) PR_SET_NAME) and, after process_title_init(), over the whole command
 * line, as much as fits there. The words of argv are gone then: copy what is
 * still needed. That also hides a secret that was given as a flag. */
void process_set_name(const char *name);

/* Lets the kernel kill this process when the thread that forked it ends.
 * @parent: its process' id, taken with getpid() before fork(); when that is
 * gone already the process kills itself, so no orphan outlives the race. To be
 * called first thing in the child; an exec of a set-uid program undoes it. */
void process_die_with_parent(pid_t parent);

/* Resident memory of @pid in bytes, or -1 when there is no such process. */
int64_t process_rss_bytes(pid_t pid);
/* The same of @pid and its children together; 0 when nothing can be read. What
 * they share is counted once for each. */
int64_t process_family_rss_bytes(pid_t pid);

#endif
