/* notify.h - tells systemd how far the service is (sd_notify(3)), for a unit
 * with Type=notify. Does nothing without NOTIFY_SOCKET. Supervisor only. */
#ifndef WEB_NOTIFY_H
#define WEB_NOTIFY_H

/* Remembers where to, and takes it out of the environment. Once, at start. */
void notify_init(void);
/* Sends lines of "READY=1", "RELOADING=1", "STOPPING=1", "STATUS=...". A
 * message that cannot be sent is dropped. */
void notify_send(const char *state);

#endif
