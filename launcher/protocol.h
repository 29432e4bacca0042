/* The wire protocol: frame types, tags, codes and limits. docs/launcher-protocol.md explains them;
 * src/ploinky/channel/frames.py holds the same numbers, and a test compares the two. */
#ifndef PLOINKY_PROTOCOL_H
#define PLOINKY_PROTOCOL_H

#define PROTOCOL_VERSION 1u
#define FRAME_HEADER 9u
#define MAX_PAYLOAD (1u << 20)
#define MAX_HELLO_PAYLOAD 4096u
#define WINDOW_BYTES (256u * 1024u)
#define CHUNK_BYTES (64u * 1024u)

enum frame_type {
    /* client to launcher */
    F_HELLO = 1,
    F_SPAWN = 2,
    F_STDIN = 3,
    F_STDIN_EOF = 4,
    F_SIGNAL = 5,
    F_RESIZE = 6,
    F_KILL = 7,
    F_LAUNCH = 8,
    F_STATUS = 9,
    F_WATCH = 10,
    F_SHUTDOWN = 11,
    F_READ_FILE = 12,
    F_CONNECT = 13,
    F_RESTART = 17,
    /* both ways */
    F_DATA = 14,
    F_EOF = 15,
    F_WINDOW = 16,
    /* launcher to client */
    F_HELLO_OK = 65,
    F_STARTED = 66,
    F_STDOUT = 67,
    F_STDERR = 68,
    F_EXIT = 69,
    F_ERROR = 70,
    F_STATE = 71,
    F_FILE = 72,
    F_CONNECTED = 73,
};

/* Tags of SPAWN, LAUNCH, READ_FILE, SHUTDOWN and HELLO. Integers are eight bytes, little-endian. */
enum request_tag {
    T_ARGV = 1,
    T_ENV = 2,
    T_CWD = 3,
    T_FLAGS = 4,
    T_TIMEOUT_MS = 5,
    T_MAX_OUTPUT = 6,
    T_GRACE_MS = 7,
    T_ROWS = 8,
    T_COLS = 9,
    T_RLIMIT = 10, /* u64 which | u64 soft | u64 hard */
    T_SIDECAR = 11,
    T_POLICY = 12,
    T_BACKOFF_FIRST_MS = 13,
    T_BACKOFF_MAX_MS = 14,
    T_PATH = 15,
    T_MAX_BYTES = 16,
    T_VERSION = 17,
    T_TOKEN = 18,
};

enum spawn_flag { SPAWN_PTY = 1, SPAWN_MERGE = 2, SPAWN_NO_STDIN = 4 };
enum restart_policy { POLICY_ALWAYS = 0, POLICY_ON_FAILURE = 1, POLICY_NEVER = 2 };
enum limit_name { LIMIT_NOFILE = 1, LIMIT_NPROC = 2, LIMIT_AS = 3, LIMIT_CORE = 4, LIMIT_FSIZE = 5, LIMIT_CPU = 6 };

/* Tags of HELLO_OK, STARTED, EXIT, ERROR, STATE and FILE. */
enum reply_tag {
    R_VERSION = 1,
    R_PID = 2,
    R_ARCH = 3,
    R_WINDOW = 4,
    R_CODE = 5,
    R_SIGNAL = 6,
    R_FLAGS = 7,
    R_MESSAGE = 8,
    R_ERRNO = 9,
    R_STATE = 10,
    R_RESTARTS = 11,
    R_LAST_CODE = 12,
    R_LAST_SIGNAL = 13,
    R_UPTIME_MS = 14,
    R_NEXT_RESTART_MS = 15,
    R_SIDECAR_STATE = 16,
    R_SIDECAR_PID = 17,
    R_SIDECAR_RESTARTS = 18,
    R_PROGRAMS = 19,
    R_MTIME_NS = 20,
    R_SIZE = 21,
};

enum exit_flag { EXIT_TIMED_OUT = 1, EXIT_OUTPUT_LIMITED = 2 };
enum kill_flag { KILL_DISCARD = 1 };

enum launcher_state {
    STATE_WAITING = 0,
    STATE_SERVING = 1,
    STATE_RUNNING = 2,
    STATE_BACKOFF = 3,
    STATE_ENDED = 4,
    STATE_STOPPING = 5,
};

enum error_code {
    E_PROTOCOL = 1,
    E_NOT_FOUND = 2,
    E_NOT_EXECUTABLE = 3,
    E_BAD_CWD = 4,
    E_SPAWN = 5,
    E_LIMIT = 6,
    E_LAUNCHED = 7,
    E_NOT_LAUNCHED = 8,
    E_STOPPING = 9,
    E_NO_FILE = 10,
    E_FILE = 11,
    E_CONNECT = 12,
    E_TOKEN = 13,
    E_TUNNEL = 14,
};

#endif
