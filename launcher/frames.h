/* Byte buffers, frames and tag-length-value payloads: pure parsing and encoding, no file descriptors.
 * The fuzzer links exactly this part. */
#ifndef PLOINKY_FRAMES_H
#define PLOINKY_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

/* A queue of bytes. The content is data[start..end). */
struct buffer {
    uint8_t *data;
    size_t start, end, capacity;
};

size_t buffer_size(const struct buffer *b);
const uint8_t *buffer_head(const struct buffer *b);
/* Room for `more` bytes at the end; NULL if memory is short (the content is kept). */
uint8_t *buffer_reserve(struct buffer *b, size_t more);
bool buffer_append(struct buffer *b, const void *data, size_t size);
void buffer_consume(struct buffer *b, size_t size);
void buffer_free(struct buffer *b);

struct frame {
    uint8_t type;
    uint32_t channel;
    const uint8_t *payload;
    size_t size;
};

enum frame_result { FRAME_PARTIAL, FRAME_COMPLETE, FRAME_TOO_LARGE };

/* Look for one frame at the head of `in`. COMPLETE: `out` points into the buffer until it is consumed. */
enum frame_result frame_peek(const struct buffer *in, size_t max_payload, struct frame *out);
void frame_header(uint8_t header[FRAME_HEADER], uint8_t type, uint32_t channel, size_t size);
bool frame_append(struct buffer *out, uint8_t type, uint32_t channel, const void *payload, size_t size);

uint16_t get_u16(const uint8_t *p);
uint32_t get_u32(const uint8_t *p);
uint64_t get_u64(const uint8_t *p);
void put_u32(uint8_t *p, uint32_t value);

/* One entry of a payload; `value` points into it. */
struct tlv {
    uint8_t tag;
    const uint8_t *value;
    size_t size;
};

enum tlv_result { TLV_END, TLV_ENTRY, TLV_BAD };

enum tlv_result tlv_next(const uint8_t **cursor, const uint8_t *end, struct tlv *out);
bool tlv_integer(const struct tlv *entry, uint64_t *out);

/* A small payload under construction; `overflow` is set instead of writing past the end. */
struct reply {
    uint8_t data[1024];
    size_t size;
    bool overflow;
};

void reply_bytes(struct reply *r, uint8_t tag, const void *value, size_t size);
void reply_text(struct reply *r, uint8_t tag, const char *text);
void reply_integer(struct reply *r, uint8_t tag, uint64_t value);

#define MAX_LIMITS 6

struct limit {
    uint64_t which, soft, hard;
};

/* What SPAWN, LAUNCH, READ_FILE, SHUTDOWN and HELLO carry. Strings and vectors live in `arena`. */
struct request {
    char **argv, **env, **sidecar; /* NULL-terminated, never NULL themselves */
    size_t argc, envc, sidecarc;
    const char *cwd, *path;
    const char *token; /* NULL if none */
    uint64_t flags, timeout_ms, max_output, grace_ms, rows, cols;
    uint64_t policy, backoff_first_ms, backoff_max_ms, max_bytes, version;
    struct limit limits[MAX_LIMITS];
    size_t limitc;
    void *arena;
};

/* NULL, or why the payload is refused (a constant text). On NULL the caller owns `out` (request_free). */
const char *request_parse(const uint8_t *payload, size_t size, struct request *out);
void request_free(struct request *r);

#endif
