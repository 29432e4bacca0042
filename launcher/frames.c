/* Byte buffers and frames: u32 payload length, u8 type, u32 channel (little-endian), payload. */
#include "frames.h"

#include <stdlib.h>
#include <string.h>

enum { KEEP_CAPACITY = 64 * 1024, FIRST_CAPACITY = 4096 };

size_t buffer_size(const struct buffer *b) { return b->end - b->start; }

const uint8_t *buffer_head(const struct buffer *b) { return b->data + b->start; }

uint8_t *buffer_reserve(struct buffer *b, size_t more)
{
    size_t size = buffer_size(b);
    if (b->data != NULL && b->capacity - b->end >= more)
        return b->data + b->end;
    if (b->data != NULL && b->start > 0 && b->capacity - size >= more) {
        memmove(b->data, b->data + b->start, size);
    } else {
        size_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
        while (capacity - size < more) {
            if (capacity > SIZE_MAX / 4)
                return NULL;
            capacity *= 2;
        }
        uint8_t *data = malloc(capacity);
        if (data == NULL)
            return NULL;
        if (size > 0)
            memcpy(data, b->data + b->start, size);
        free(b->data);
        b->data = data;
        b->capacity = capacity;
    }
    b->start = 0;
    b->end = size;
    return b->data + b->end;
}

bool buffer_append(struct buffer *b, const void *data, size_t size)
{
    uint8_t *room = buffer_reserve(b, size);
    if (room == NULL)
        return false;
    if (size > 0)
        memcpy(room, data, size);
    b->end += size;
    return true;
}

void buffer_consume(struct buffer *b, size_t size)
{
    b->start += size;
    if (b->start < b->end)
        return;
    b->start = b->end = 0;
    if (b->capacity > KEEP_CAPACITY)
        buffer_free(b);
}

void buffer_free(struct buffer *b)
{
    free(b->data);
    memset(b, 0, sizeof *b);
}

uint16_t get_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t get_u64(const uint8_t *p) { return (uint64_t)get_u32(p) | (uint64_t)get_u32(p + 4) << 32; }

void put_u32(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

enum frame_result frame_peek(const struct buffer *in, size_t max_payload, struct frame *out)
{
    size_t size = buffer_size(in);
    if (size < FRAME_HEADER)
        return FRAME_PARTIAL;
    const uint8_t *head = buffer_head(in);
    out->size = get_u32(head);
    if (out->size > max_payload)
        return FRAME_TOO_LARGE;
    if (size - FRAME_HEADER < out->size)
        return FRAME_PARTIAL;
    out->type = head[4];
    out->channel = get_u32(head + 5);
    out->payload = head + FRAME_HEADER;
    return FRAME_COMPLETE;
}

void frame_header(uint8_t header[FRAME_HEADER], uint8_t type, uint32_t channel, size_t size)
{
    put_u32(header, (uint32_t)size);
    header[4] = type;
    put_u32(header + 5, channel);
}

bool frame_append(struct buffer *out, uint8_t type, uint32_t channel, const void *payload, size_t size)
{
    uint8_t *room = buffer_reserve(out, FRAME_HEADER + size);
    if (room == NULL)
        return false;
    frame_header(room, type, channel, size);
    if (size > 0)
        memcpy(room + FRAME_HEADER, payload, size);
    out->end += FRAME_HEADER + size;
    return true;
}
