/* Contrast's servers: started, crashed and cleared away.
 *
 * A signal only sets a flag: every loop that waits looks at it, so that what
 * was started is ended in one place. Should this process be killed itself, the
 * kernel ends its children (PR_SET_PDEATHSIG). */
#include "contrast_servers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "contrast_load.h"

enum { START_MS = 20000, STOP_MS = 5000, NAP_MS = 5, ARGS_MAX = 24 };

static volatile sig_atomic_t interrupted;

static void
note_signal(int signo)
{
    (void)signo;
    interrupted = 1;
}

bool
contrast_servers_interrupted(void)
{
    return interrupted;
}

static void
catch_signals(void)
{
    const struct sigaction note = {.sa_handler = note_signal};

    sigaction(SIGINT, &note, NULL);
    sigaction(SIGTERM, &note, NULL);
    sigaction(SIGHUP, &note, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* --- finding -------------------------------------------------------------- */

/* The programs are where this one is, the application is in the library folder
 * beside, in a build as in an installation. */
static enum status
find_programs(struct contrast_servers *servers, struct error *err)
{
    static const char *const names[] = {"pit-web", "pit-worker"};
    char path[CONTRAST_PATH_MAX + 64];

    ssize_t n = readlink("/proc/self/exe", servers->programs,
                         sizeof servers->programs - 1);
    char *slash = n > 0 ? strrchr(servers->programs, '/') : NULL;
    if (!slash)
        return error_set(err, ST_NOT_FOUND,
                         "cannot find out where this program is");
    *slash = '\0';
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", servers->programs, names[i]);
        if (access(path, X_OK) != 0)
            return error_set(err, ST_NOT_FOUND,
                             "%s is missing: it belongs beside pit", path);
    }
    snprintf(servers->app, sizeof servers->app,
             "%s/../" PIT_LIB_DIR "/pitmaster/contrast.so", servers->programs);
    if (access(servers->app, R_OK) == 0)
        return ST_OK;
    return error_set(err, ST_NOT_FOUND,
                     "%s is missing: install Pitmaster as a whole",
                     servers->app);
}

/* --- starting ------------------------------------------------------------- */

/* A process group of its own, so that a terminal's Ctrl-C reaches this program
 * alone; output goes to NAME.log in the folder. */
static pid_t
launch(const struct contrast_servers *servers, const char *name,
       const char *const *argv)
{
    char log[sizeof servers->folder + 32];
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid != 0) {
        if (pid > 0)
            setpgid(pid, pid);
        return pid;
    }
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    snprintf(log, sizeof log, "%s/%s.log", servers->folder, name);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 ||
        dup2(out, 2) < 0)
        _exit(127);
    char *words[ARGS_MAX];
    size_t n = 0;
    while (n < ARGS_MAX - 1 && argv[n]) {
        words[n] = strdup(argv[n]); /* execvp() wants them writable */
        n++;
    }
    words[n] = NULL;
    execvp(words[0], words);
    fprintf(stderr, "%s: %m\n", words[0]);
    _exit(127);
}

/* The last line that @name wrote, for an error. */
static void
last_line(const struct contrast_servers *servers, const char *name, char *dst,
          size_t size)
{
    char path[sizeof servers->folder + 32];
    char line[ERROR_MSG_SIZE];

    snprintf(path, sizeof path, "%s/%s.log", servers->folder, name);
    FILE *file = fopen(path, "re");
    snprintf(dst, size, "it said nothing");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0])
            str_copy_to(str_c(line), dst, size);
    }
    if (file)
        fclose(file);
}

static bool
has_ended(pid_t pid)
{
    siginfo_t info = {0};

    /* Leaves it for the one waitpid() that forgets its id. */
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid == pid;
}

static void
nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = NAP_MS * 1000000L}, NULL);
}

/* Waits for @is_ready; fails when the process @pid ends before. */
static enum status
wait_ready(const struct contrast_servers *servers, pid_t pid, const char *name,
           bool (*is_ready)(const struct contrast_servers *servers),
           struct error *err)
{
    char why[ERROR_MSG_SIZE];
    int64_t end_ms = clock_mono_ms() + START_MS;

    while (!interrupted) {
        if (is_ready(servers))
            return ST_OK;
        if (pid < 0 || has_ended(pid)) {
            last_line(servers, name, why, sizeof why);
            return error_set(err, ST_UNAVAILABLE,
                             "%s ended at its start: %.160s", name, why);
        }
        if (clock_mono_ms() > end_ms)
            return error_set(err, ST_UNAVAILABLE, "%s is not ready after %d s",
                             name, START_MS / 1000);
        nap();
    }
    return error_set(err, ST_CANCELLED, "interrupted");
}

static bool
redis_is_ready(const struct contrast_servers *servers)
{
    char path[sizeof servers->folder + 16];
    struct contrast_peer peer;

    snprintf(path, sizeof path, "%s/redis", servers->folder);
    if (!contrast_peer_open(&peer, path))
        return false;
    contrast_peer_close(&peer);
    return true;
}

static bool
web_is_ready(const struct contrast_servers *servers)
{
    return contrast_load_ask(servers->web_socket, "/ping") == 200;
}

/* A job with the id 0 went through; the callers count from 1. */
static bool
worker_is_ready(const struct contrast_servers *servers)
{
    struct stat stat_;

    return stat(servers->done, &stat_) == 0 && stat_.st_size > 0;
}

static enum status
start_redis(struct contrast_servers *servers, struct error *err)
{
    char socket[sizeof servers->folder + 16];

    snprintf(socket, sizeof socket, "%s/redis", servers->folder);
    const char *const argv[] = {"redis-server",
                                "--port",
                                "0",
                                "--unixsocket",
                                socket,
                                "--dir",
                                servers->folder,
                                "--appendonly",
                                "yes",
                                "--appendfsync",
                                "everysec",
                                "--save",
                                "",
                                "--maxmemory-policy",
                                "noeviction",
                                NULL};
    servers->redis = launch(servers, "redis-server", argv);
    return wait_ready(servers, servers->redis, "redis-server", redis_is_ready,
                      err);
}

static enum status
start_ours(struct contrast_servers *servers, struct error *err)
{
    char web[CONTRAST_PATH_MAX + 16], worker[CONTRAST_PATH_MAX + 16];
    char listen[sizeof servers->web_socket + 8];

    snprintf(web, sizeof web, "%s/pit-web", servers->programs);
    snprintf(worker, sizeof worker, "%s/pit-worker", servers->programs);
    snprintf(listen, sizeof listen, "unix:%s", servers->web_socket);
    const char *const web_argv[] = {
        web,        "--redis", servers->redis_url, "--app", servers->app,
        "--listen", listen,    "--processes",      "1",     "--log-level",
        "error",    NULL};
    const char *const worker_argv[] = {
        worker,    "--redis", servers->redis_url, "--app", servers->app,
        "--slots", "1",       "--lease",          "1s",    "--log-level",
        "error",   NULL};

    unlink(servers->web_socket);
    servers->web = launch(servers, "pit-web", web_argv);
    servers->worker = launch(servers, "pit-worker", worker_argv);
    enum status st =
        wait_ready(servers, servers->web, "pit-web", web_is_ready, err);
    if (st != ST_OK)
        return st;
    int64_t end_ms = clock_mono_ms() + START_MS;
    while (contrast_load_ask(servers->web_socket, "/enqueue?id=0") != 202) {
        if (interrupted)
            return error_set(err, ST_CANCELLED, "interrupted");
        if (clock_mono_ms() > end_ms)
            return error_set(err, ST_UNAVAILABLE,
                             "pit-web does not take a job");
        nap();
    }
    return wait_ready(servers, servers->worker, "pit-worker", worker_is_ready,
                      err);
}

/* Known to the work by its environment, which the programs inherit. */
static void
tell_work(const struct contrast_servers *servers,
          const struct contrast_work *work)
{
    char number[24];

    snprintf(number, sizeof number, "%lld", (long long)work->wait_ms);
    setenv("CONTRAST_WAIT_MS", number, 1);
    snprintf(number, sizeof number, "%lld", (long long)work->cpu_us);
    setenv("CONTRAST_CPU_US", number, 1);
    setenv("CONTRAST_DONE", servers->done, 1);
}

static enum status
make_folder(struct contrast_servers *servers, struct error *err)
{
    snprintf(servers->folder, sizeof servers->folder,
             "/tmp/pit-contrast-XXXXXX");
    if (!mkdtemp(servers->folder))
        return error_set_sys(err, ST_UNAVAILABLE, errno,
                             "cannot make a folder in /tmp");
    servers->made = true;
    snprintf(servers->web_socket, sizeof servers->web_socket, "%s/web",
             servers->folder);
    snprintf(servers->redis_url, sizeof servers->redis_url, "unix://%s/redis",
             servers->folder);
    snprintf(servers->done, sizeof servers->done, "%s/done", servers->folder);
    int fd = open(servers->done, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_sys(err, ST_UNAVAILABLE, errno, "%s", servers->done);
    close(fd);
    return ST_OK;
}

enum status
contrast_servers_start(struct contrast_servers *servers,
                       const struct contrast_work *work, struct error *err)
{
    *servers = (struct contrast_servers){0};
    catch_signals();
    enum status st = find_programs(servers, err);
    if (st == ST_OK)
        st = make_folder(servers, err);
    if (st != ST_OK)
        return st;
    tell_work(servers, work);
    st = start_redis(servers, err);
    return st == ST_OK ? start_ours(servers, err) : st;
}

/* --- ending --------------------------------------------------------------- */

/* SIGTERM if @gently, SIGKILL to the whole group in the end, in any case. */
static void
end(pid_t *pid, bool gently)
{
    int64_t end_ms = clock_mono_ms() + STOP_MS;

    if (*pid <= 0)
        return;
    if (gently && kill(*pid, SIGTERM) == 0)
        while (!has_ended(*pid) && clock_mono_ms() < end_ms)
            nap();
    kill(-*pid, SIGKILL);
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    *pid = 0;
}

void
contrast_servers_kill(struct contrast_servers *servers)
{
    /* Both before either is waited for: neither shall see the other's end. */
    if (servers->web > 0)
        kill(-servers->web, SIGKILL);
    if (servers->worker > 0)
        kill(-servers->worker, SIGKILL);
    end(&servers->web, false);
    end(&servers->worker, false);
}

enum status
contrast_servers_revive(struct contrast_servers *servers, struct error *err)
{
    return start_ours(servers, err);
}

static void
remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        /* Redis keeps its append-only files in a folder of their own. */
        if (unlinkat(dirfd(dir), entry->d_name, 0) != 0) {
            char path[512];
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            remove_folder(path);
        }
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

void
contrast_servers_clear(struct contrast_servers *servers)
{
    end(&servers->web, true);
    end(&servers->worker, true);
    end(&servers->redis, true);
    if (servers->made)
        remove_folder(servers->folder);
    servers->made = false;
}
