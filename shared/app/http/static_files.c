/* Static files: one trip to a thread that opens the file, decides what the
 * client needs of it, and reads that; then the answer is put together here.
 *
 * PRECOMPRESSED. NAME.br or NAME.gz is sent in NAME's stead where the client
 * takes it, as that representation: its own length and ETag, the type of NAME.
 * A client that asks for a range gets it of NAME itself. */
#include "app/http/static_files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/http/problem.h"
#include "app/http/site.h"
#include "app/public/co_public.h"
#include "async/file.h"
#include "async/threads.h"
#include "base/log.h"

enum {
    ETAG_SIZE = 64,
    PIECE = 256 * 1024, /* bytes of one read of a large file */
    TIME_SIZE = 40,
};

/* ---- types ---- */

struct type {
    const char *extension;
    const char *type;
    bool text; /* worth compressing, so that an answer varies by coding */
};

static const struct type *
type_of(const char *name)
{
    static const struct type types[] = {
        {"html", "text/html; charset=utf-8", true},
        {"css", "text/css; charset=utf-8", true},
        {"js", "text/javascript; charset=utf-8", true},
        {"mjs", "text/javascript; charset=utf-8", true},
        {"json", "application/json", true},
        {"map", "application/json", true},
        {"webmanifest", "application/manifest+json", true},
        {"txt", "text/plain; charset=utf-8", true},
        {"md", "text/markdown; charset=utf-8", true},
        {"csv", "text/csv; charset=utf-8", true},
        {"xml", "application/xml", true},
        {"svg", "image/svg+xml", true},
        {"png", "image/png", false},
        {"jpg", "image/jpeg", false},
        {"jpeg", "image/jpeg", false},
        {"gif", "image/gif", false},
        {"webp", "image/webp", false},
        {"avif", "image/avif", false},
        {"ico", "image/x-icon", false},
        {"woff", "font/woff", false},
        {"woff2", "font/woff2", false},
        {"ttf", "font/ttf", true},
        {"otf", "font/otf", true},
        {"wasm", "application/wasm", true},
        {"pdf", "application/pdf", false},
        {"zip", "application/zip", false},
        {"gz", "application/gzip", false},
        {"mp4", "video/mp4", false},
        {"webm", "video/webm", false},
        {"mp3", "audio/mpeg", false},
        {"ogg", "audio/ogg", false},
        {"", "application/octet-stream", false},
    };
    const char *dot = strrchr(name, '.');
    struct str extension = str_c(dot && !strchr(dot, '/') ? dot + 1 : "");
    size_t i = 0;

    while (i < ARRAY_LEN(types) - 1 &&
           !str_eq_nocase(extension, str_c(types[i].extension)))
        i++;
    return &types[i];
}

/* ---- what a thread does ---- */

struct look {
    int dir;
    const char *name;
    const struct type *type;
    bool br, gz; /* may be sent in its stead */
    bool head;   /* no content is wanted */
    struct str if_none_match, if_modified_since, range, if_range;

    int sys; /* errno of what failed; 0: none */
    int fd;  /* still open when the file is to be streamed; else -1 */
    const char *coding;
    int status;
    size_t size, offset, len;
    char etag[ETAG_SIZE];
    time_t modified;
    char *data; /* len bytes; NULL: none, or to be streamed */
};

/* RFC 9110 section 5.6.7, the form that everybody sends. */
static void
format_time(time_t t, char dst[TIME_SIZE])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm;

    gmtime_r(&t, &tm);
    snprintf(dst, TIME_SIZE, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
             days + (ptrdiff_t)3 * tm.tm_wday, tm.tm_mday,
             months + (ptrdiff_t)3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour,
             tm.tm_min, tm.tm_sec);
}

/* A list of tags, weak comparison (RFC 9110 sections 8.8.3.2, 13.1.2). */
static bool
tag_listed(struct str list, const char *etag)
{
    while (list.n > 0) {
        struct str tag = str_trim(str_cut(list, ',', &list));
        if (str_starts(tag, STR("W/")))
            tag = str_skip(tag, 2);
        if (str_eq_c(tag, etag) || str_eq(tag, STR("*")))
            return true;
    }
    return false;
}

/* Clients send back the very text that they were given. */
static bool
is_unchanged(const struct look *look)
{
    char time[TIME_SIZE];

    if (look->if_none_match.p)
        return tag_listed(look->if_none_match, look->etag);
    format_time(look->modified, time);
    return look->if_modified_since.p && str_eq_c(look->if_modified_since, time);
}

/* One range of "bytes=a-b", "a-", "-n"; whatever else is no range, and then the
 * whole file is the answer (RFC 9110 section 14.2). */
static bool
parse_range(struct str range, size_t size, size_t *ret_from, size_t *ret_len)
{
    struct str last;
    int64_t from = 0, to = 0;

    if (!str_starts(range, STR("bytes=")))
        return false;
    range = str_trim(str_skip(range, 6));
    struct str first = str_cut(range, '-', &last);
    if (!last.p || (first.n > 0 && !str_to_i64(first, &from)) ||
        (last.n > 0 && !str_to_i64(last, &to)))
        return false;
    if (first.n == 0 && last.n == 0)
        return false;
    if (first.n == 0) { /* the last so many bytes */
        *ret_len = (size_t)to < size ? (size_t)to : size;
        *ret_from = size - *ret_len;
        return true;
    }
    if (last.n > 0 && to < from)
        return false;
    if (last.n == 0 || (uint64_t)to >= size)
        to = (int64_t)size - 1;
    *ret_from = (size_t)from;
    *ret_len = (uint64_t)from < size ? (size_t)(to - from) + 1 : 0;
    return true;
}

static void
decide(struct look *look)
{
    size_t from = 0, len = 0;

    look->status = 200;
    look->offset = 0;
    look->len = look->size;
    if (is_unchanged(look)) {
        look->status = 304;
        look->len = 0;
        return;
    }
    if (!look->range.p ||
        (look->if_range.p && !str_eq_c(look->if_range, look->etag)) ||
        !parse_range(look->range, look->size, &from, &len))
        return;
    look->status = len > 0 ? 206 : 416;
    look->offset = from;
    look->len = len;
}

static int
open_variant(const struct look *look, const char *suffix, size_t *ret_size)
{
    char name[FILE_NAME_MAX];
    int n = snprintf(name, sizeof name, "%s%s", look->name, suffix);

    if (n < 0 || (size_t)n >= sizeof name)
        return -1;
    return file_open_regular(look->dir, name, ret_size);
}

static int
open_best(struct look *look)
{
    /* The file itself must be there: what lies beside it is only a coding. */
    int fd = file_open_regular(look->dir, look->name, &look->size);
    int other = -1;
    size_t size = 0;

    look->coding = NULL;
    if (fd < 0)
        return -1;
    if (look->br && (other = open_variant(look, ".br", &size)) >= 0)
        look->coding = "br";
    else if (look->gz && (other = open_variant(look, ".gz", &size)) >= 0)
        look->coding = "gzip";
    if (other < 0)
        return fd;
    close(fd);
    look->size = size;
    return other;
}

static int
read_content(struct look *look)
{
    look->data = malloc(look->len + 1);
    if (!look->data)
        return ENOMEM;
    long n = file_read_at(look->fd, look->data, look->len, look->offset);
    if (n < 0)
        return errno;
    return (size_t)n == look->len ? 0 : EIO; /* it shrank meanwhile */
}

static enum status
look_on_thread(void *arg)
{
    struct look *look = arg;
    struct stat stat;

    look->fd = open_best(look);
    if (look->fd < 0 || fstat(look->fd, &stat) != 0) {
        look->sys = errno;
        goto out;
    }
    look->modified = stat.st_mtim.tv_sec;
    snprintf(look->etag, sizeof look->etag, "\"%zx-%" PRIx64 "%s%s\"",
             look->size,
             (uint64_t)stat.st_mtim.tv_sec * 1000000000 +
                 (uint64_t)stat.st_mtim.tv_nsec,
             look->coding ? "-" : "", look->coding ? look->coding : "");
    decide(look);
    if (!look->head && look->len > 0 && look->len <= RESPONSE_BODY_MAX)
        look->sys = read_content(look);
    else if (!look->head && look->len > 0)
        return ST_OK; /* the descriptor is needed for the stream */
out:
    if (look->fd >= 0)
        close(look->fd);
    look->fd = -1;
    return ST_OK;
}

/* ---- the answer ---- */

struct piece {
    int fd;
    char *data;
    size_t len, offset;
    long got;
};

static enum status
read_piece(void *arg)
{
    struct piece *piece = arg;

    piece->got =
        file_read_at(piece->fd, piece->data, piece->len, piece->offset);
    return piece->got == (long)piece->len ? ST_OK : ST_UNAVAILABLE;
}

static enum status
stream(struct co *co, struct look *look, struct pit_response *res)
{
    struct piece piece = {.fd = look->fd, .offset = look->offset};
    enum status st = ST_OK;
    size_t left = look->len;

    if (!res->site_host || !res->site_host->write)
        return ST_TOO_LARGE;
    res->content_len = (int64_t)look->len;
    piece.data = malloc(PIECE);
    if (!piece.data)
        return ST_LIMIT;
    while (left > 0 && st == ST_OK) {
        piece.len = left < PIECE ? left : PIECE;
        st = co_thread(co, "file read", read_piece, &piece, NULL);
        if (st == ST_OK)
            st =
                res->site_host->write(co, res, str_from(piece.data, piece.len));
        piece.offset += piece.len;
        left -= piece.len;
    }
    free(piece.data);
    return st;
}

static enum status
set_fields(const struct look *look, struct pit_response *res)
{
    char time[TIME_SIZE];

    format_time(look->modified, time);
    enum status st = response_set(res, STR("ETag"), str_c(look->etag));
    if (st == ST_OK)
        st = response_set(res, STR("Last-Modified"), str_c(time));
    if (st == ST_OK)
        st = response_set(res, STR("Accept-Ranges"), STR("bytes"));
    if (st == ST_OK)
        st = response_set(res, STR("X-Content-Type-Options"), STR("nosniff"));
    if (st == ST_OK && look->coding)
        st = response_set(res, STR("Content-Encoding"), str_c(look->coding));
    if (st == ST_OK && look->status == 206)
        st = response_setf(res, "Content-Range", "bytes %zu-%zu/%zu",
                           look->offset, look->offset + look->len - 1,
                           look->size);
    if (st == ST_OK && look->status == 416)
        st = response_setf(res, "Content-Range", "bytes */%zu", look->size);
    return st;
}

static enum status
answer(struct co *co, struct look *look, struct pit_response *res)
{
    struct buf body;
    enum status st = set_fields(look, res);

    if (st != ST_OK)
        return st;
    if (look->status == 304 || look->status == 416)
        return response_empty(res, look->status);
    if (look->fd >= 0) {
        res->status = look->status;
        st = response_set(res, STR("Content-Type"), str_c(look->type->type));
        return st == ST_OK ? stream(co, look, res) : st;
    }
    if (look->head) {
        st = response_lend(res, look->status, look->type->type, STR_NULL);
        res->content_len = (int64_t)look->len;
        return st;
    }
    buf_init(&body, RESPONSE_BODY_MAX);
    if (look->data) {
        body.p = look->data;
        body.len = look->len;
        body.cap = look->len + 1;
        look->data = NULL;
    }
    return response_take(res, look->status, look->type->type, &body);
}

/* False for "gzip;q=0", and for what does not stand there. */
static bool
accepts(struct str list, struct str coding)
{
    while (list.n > 0) {
        struct str parameters;
        struct str name =
            str_trim(str_cut(str_cut(list, ',', &list), ';', &parameters));
        if (!str_eq_nocase(name, coding))
            continue;
        parameters = str_trim(parameters);
        return !(str_starts(parameters, STR("q=0")) &&
                 strspn(parameters.p + 3, ".0") >= parameters.n - 3);
    }
    return false;
}

static enum status
reply(struct co *co, int dir, const char *name, bool coded,
      struct pit_request *req, struct pit_response *res)
{
    struct str codings = request_field(req, STR("accept-encoding"));
    struct look look = {
        .dir = dir,
        .name = name,
        .type = type_of(name),
        .head = req->method == PIT_HEAD,
        .if_none_match = request_field(req, STR("if-none-match")),
        .if_modified_since = request_field(req, STR("if-modified-since")),
        .range = request_field(req, STR("range")),
        .if_range = request_field(req, STR("if-range")),
        .fd = -1,
    };

    coded &= look.type->text;
    look.br = coded && !look.range.p && accepts(codings, STR("br"));
    look.gz = coded && !look.range.p && accepts(codings, STR("gzip"));
    enum status st = co_thread(co, "file read", look_on_thread, &look, NULL);
    if (st == ST_OK && look.sys != 0)
        st = look.sys == EISDIR ? ST_NOT_FOUND : file_status(look.sys);
    if (st == ST_OK && coded)
        st = response_set(res, STR("Vary"), STR("Accept-Encoding"));
    if (st == ST_OK)
        st = answer(co, &look, res);
    if (look.fd >= 0)
        close(look.fd);
    free(look.data);
    return st;
}

enum pit_status
pit_reply_file(struct pit_co *public, struct pit_request *req,
               struct pit_response *res, const char *folder, const char *name)
{
    if (!name || !*name)
        return PIT_NOT_FOUND;
    int dir = file_open_folder(folder);
    if (dir < 0)
        return (enum pit_status)file_status(errno);
    enum status st = reply(co_public_core(public), dir, name, false, req, res);
    close(dir);
    if (st == ST_NOT_FOUND)
        (void)error_set(req->err, st, "there is no such file");
    return (enum pit_status)st;
}

/* ---- folders ---- */

enum status
static_files_open(const struct pit_static *table, size_t len,
                  struct static_folder **ret, struct error *err)
{
    struct static_folder *folders =
        len > 0 ? xcalloc(len, sizeof *folders) : NULL;

    for (size_t i = 0; i < len; i++)
        folders[i] = (struct static_folder){&table[i], -1};
    for (size_t i = 0; i < len; i++) {
        folders[i].fd = file_open_folder(table[i].folder);
        if (folders[i].fd < 0) {
            enum status st =
                error_set_sys(err, ST_NOT_FOUND, errno, "static %s: folder %s",
                              table[i].route, table[i].folder);
            static_files_close(folders, len);
            return st;
        }
    }
    *ret = folders;
    return ST_OK;
}

void
static_files_close(struct static_folder *folders, size_t len)
{
    for (size_t i = 0; folders && i < len; i++)
        if (folders[i].fd >= 0)
            close(folders[i].fd);
    free(folders);
}

/* No hidden files, and only one way to write a path. */
static bool
is_servable(struct str name)
{
    do {
        struct str part = str_cut(name, '/', &name);
        bool last = !name.p;
        if (part.n > 0 ? part.p[0] == '.' : !last)
            return false;
    } while (name.p);
    return true;
}

static const struct static_folder *
find_folder(const struct static_folder *folders, size_t len, struct str path)
{
    const struct static_folder *best = NULL;
    size_t best_len = 0;

    for (size_t i = 0; i < len; i++) {
        struct str route = str_c(folders[i].table->route);
        if (str_starts(path, route) && route.n > best_len) {
            best = &folders[i];
            best_len = route.n;
        }
    }
    return best;
}

static enum status
serve(struct co *co, const struct static_folder *folder,
      struct pit_request *req, struct pit_response *res)
{
    const struct pit_static *table = folder->table;
    struct str name = str_skip(str_c(req->path), strlen(table->route));
    char path[FILE_NAME_MAX];
    bool whole = name.n > 0 && name.p[name.n - 1] != '/';

    if (!is_servable(name) || (!whole && !table->index))
        return ST_NOT_FOUND;
    int n = snprintf(path, sizeof path, "%.*s%s", STR_ARG(name),
                     whole ? "" : table->index);
    if (n < 0 || (size_t)n >= sizeof path)
        return ST_NOT_FOUND;
    enum status st =
        table->max_age_s > 0
            ? response_setf(res, "Cache-Control", "public, max-age=%" PRId64,
                            table->max_age_s)
            : response_set(res, STR("Cache-Control"), STR("no-cache"));
    return st == ST_OK ? reply(co, folder->fd, path, true, req, res) : st;
}

enum status
static_files_serve(struct co *co, const struct static_folder *folders,
                   size_t len, struct pit_request *req,
                   struct pit_response *res, bool *ret_served)
{
    const struct static_folder *folder =
        find_folder(folders, len, str_c(req->path));
    uint32_t allow = 1u << PIT_GET | 1u << PIT_HEAD | 1u << PIT_OPTIONS;

    *ret_served = folder != NULL;
    if (!folder)
        return ST_OK;
    if (req->method == PIT_OPTIONS)
        return site_refuse(ROUTE_OPTIONS, allow, req, res);
    if (req->method != PIT_GET && req->method != PIT_HEAD)
        return site_refuse(ROUTE_METHOD_NOT_ALLOWED, allow, req, res);
    size_t fields_len = res->fields_len;
    enum status st = serve(co, folder, req, res);
    if (st == ST_NOT_FOUND || st == ST_FORBIDDEN || st == ST_INVALID) {
        response_truncate(res, fields_len);
        return site_refuse(ROUTE_NOT_FOUND, 0, req, res);
    }
    return st;
}
