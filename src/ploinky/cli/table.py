"""Every command: its name, where its code lies, what it does in a line, and the section that shows it.

The help is printed from this table, so that asking for help imports no command. A test checks that each
line is the one its command gives itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Entry:
    """A command (``target`` is ``module:attribute`` below ``ploinky.cli.commands``) or a group of them.

    A group with a ``default`` runs that command when its first word names none of its own, and ``bare``
    when there is no word at all.
    """

    name: str
    summary: str
    target: str = ""
    section: str = ""
    children: tuple[Entry, ...] = field(default=())
    default: str = ""
    bare: str = ""


WORKSPACE = "Workspace"
AGENTS = "Repositories and agents"
LIFE = "Life of agents"
INSIDE = "Inside an agent"
VALUES = "Profiles and values"
TOOLS = "Tools"
ASSISTANTS = "Assistants"
GATEWAY = "Gateway and shell"
SECTIONS = (WORKSPACE, AGENTS, LIFE, INSIDE, VALUES, TOOLS, ASSISTANTS, GATEWAY)

COMMANDS = (
    Entry("init", "Make a workspace here.", "workspace:init", WORKSPACE),
    Entry("status", "Show the agents, the router and how they are.", "status:status", WORKSPACE),
    Entry("doctor", "Check this machine and workspace; repair.", "workspace:doctor", WORKSPACE),
    Entry("destroy", "Remove everything that Ploinky made here.", "workspace:destroy", WORKSPACE),
    Entry(
        "add",
        "Add a repository of agents.",
        section=AGENTS,
        children=(Entry("repo", "Install a repository of agents from a URL or a folder.", "repos:add_repo"),),
    ),
    Entry(
        "enable",
        "Enable an agent or a repository.",
        section=AGENTS,
        children=(
            Entry("agent", "Enable an agent, so that it can be started.", "agents:enable_agent"),
            Entry("repo", "Let agents be found in a repository.", "repos:enable_repo"),
        ),
    ),
    Entry(
        "disable",
        "Disable an agent or a repository.",
        section=AGENTS,
        children=(
            Entry("agent", "Stop an agent and forget it.", "agents:disable_agent"),
            Entry("repo", "Leave a repository out when agents are looked for.", "repos:disable_repo"),
        ),
    ),
    Entry(
        "list",
        "List repositories, agents or routes.",
        section=AGENTS,
        children=(
            Entry("agents", "List the agents that can be enabled and those that are.", "agents:list_agents"),
            Entry("repos", "List the repositories that are installed or known.", "repos:list_repos"),
            Entry("routes", "List the addresses under which the router serves agents.", "agents:list_routes"),
        ),
    ),
    Entry("update", "Fetch the newest commits of repositories.", "repos:update", AGENTS),
    Entry(
        "new",
        "Make a new agent.",
        section=AGENTS,
        children=(Entry("agent", "Make a working agent with one tool and a test.", "agents:new_agent"),),
    ),
    Entry(
        "manifest",
        "Check and rewrite manifests.",
        section=AGENTS,
        children=(
            Entry("validate", "Check a manifest and show every fault in it.", "manifest:validate"),
            Entry("schema", "Print the JSON Schema of manifests, for editors.", "manifest:schema"),
            Entry("migrate", "Rewrite the old form of a manifest to profiles.", "manifest:migrate"),
        ),
    ),
    Entry("start", "Start an agent with what it needs, or all, and the gateway.", "life:start", LIFE),
    Entry("stop", "Stop an agent, or all and the gateway.", "life:stop", LIFE),
    Entry("restart", "Restart an agent, the router, or all.", "life:restart", LIFE),
    Entry("shutdown", "Stop everything and remove the containers.", "life:shutdown", LIFE),
    Entry("reinstall", "Make an agent's container anew and install again.", "life:reinstall", LIFE),
    Entry(
        "deps",
        "Show, prepare and remove what agents depend on.",
        section=LIFE,
        children=(
            Entry("status", "Show what agents depend on and whether it is installed.", "dependencies:status"),
            Entry("prepare", "Install what agents depend on, without starting them.", "dependencies:prepare"),
            Entry("clean", "Remove what was installed for agents.", "dependencies:clean"),
        ),
    ),
    Entry(
        "logs",
        "Show what an agent printed.",
        section=LIFE,
        default="show",
        children=(
            Entry("show", "Show what an agent printed; -f follows.", "watch:logs_show"),
            Entry("tail", "Follow what an agent prints.", "watch:logs_tail"),
        ),
    ),
    Entry("events", "Show what happens to agents, as it happens.", "watch:events", LIFE),
    Entry("shell", "Open a shell inside an agent.", "inside:shell", INSIDE),
    Entry("cli", "Run the agent's own interactive command.", "inside:cli", INSIDE),
    Entry("exec", "Run a command inside an agent.", "inside:exec_", INSIDE),
    Entry(
        "profile",
        "Show, choose and check profiles.",
        section=VALUES,
        default="use",
        bare="show",
        children=(
            Entry("use", "Choose the active profile.", "profile:use"),
            Entry("show", "Show the active profile and what it gives agents.", "profile:show"),
            Entry("list", "List the profiles and whether their secrets are there.", "profile:list_"),
            Entry("validate", "Check everything that a profile needs.", "profile:validate"),
            Entry("new", "Add a profile to an agent's manifest.", "profile:new"),
        ),
    ),
    Entry("var", "Set or unset a value in the workspace's secrets.", "values:var", VALUES),
    Entry("expose", "Give an agent a variable beyond its manifest.", "values:expose", VALUES),
    Entry("vars", "List the names of stored values.", "values:vars_", VALUES),
    Entry(
        "secrets",
        "List, move, encrypt and rotate secrets.",
        section=VALUES,
        children=(
            Entry("list", "List the names of secrets and their sources.", "secrets:secrets_list"),
            Entry("import", "Keep every value of a .env file.", "secrets:secrets_import"),
            Entry("export", "Write the kept values in clear to a file.", "secrets:secrets_export"),
            Entry("encrypt", "Encrypt .ploinky/.secrets on the disk.", "secrets:secrets_encrypt"),
            Entry("decrypt", "Put .ploinky/.secrets back in clear.", "secrets:secrets_decrypt"),
            Entry("rotate", "Change a secret and restart its users.", "secrets:secrets_rotate"),
        ),
    ),
    Entry("tools", "List the tools that agents offer.", "tools:tools", TOOLS),
    Entry("call", "Call a tool of an agent.", "tools:call", TOOLS),
    Entry(
        "tasks",
        "Look at tasks that were left to themselves.",
        section=TOOLS,
        children=(
            Entry("list", "List the tasks: those that have not ended first.", "tasks:list_"),
            Entry("get", "Show a task as it is now, with the tail of its log.", "tasks:get"),
            Entry("result", "Wait for a task's end and print what it answered.", "tasks:result"),
            Entry("cancel", "End a task and its program.", "tasks:cancel"),
        ),
    ),
    Entry(
        "mcp",
        "Connect MCP clients.",
        section=TOOLS,
        children=(
            Entry("config", "Print, install or remove the configuration of an MCP client.", "clients:config"),
            Entry("approvals", "List the calls that wait for approval.", "clients:approvals"),
            Entry("approve", "Let a call that waits go on, or refuse it.", "clients:approve"),
            Entry("login", "Sign in at an MCP server outside.", "clients:login"),
            Entry("logout", "Forget a login at an MCP server outside.", "clients:logout"),
            Entry("stdio", "Be an MCP server on stdin and stdout for the router.", "clients:stdio"),
        ),
    ),
    Entry("ask", "Ask an assistant one thing and print its answer.", "talk:ask", ASSISTANTS),
    Entry("chat", "Talk with an assistant.", "talk:chat", ASSISTANTS),
    Entry(
        "assistant",
        "List, make, show and remove assistants.",
        section=ASSISTANTS,
        bare="list",
        children=(
            Entry("list", "List the assistants; the first is the default.", "assistants:list_"),
            Entry("show", "Show an assistant with its settings.", "assistants:show"),
            Entry("create", "Make an assistant with a folder of its own.", "assistants:create"),
            Entry(
                "delete", "Take an assistant out of the configuration; its folder stays.", "assistants:delete"
            ),
            Entry(
                "context",
                "Show exactly what would be sent to the model, with sizes.",
                "assistants:context",
            ),
        ),
    ),
    Entry(
        "skill",
        "Judge, install and keep the skills of assistants.",
        section=ASSISTANTS,
        bare="list",
        children=(
            Entry(
                "analyze",
                "Judge a skill and show what would run.",
                "skills:analyze",
            ),
            Entry(
                "install",
                "Judge a skill, ask if needed, and install it.",
                "skills:install",
            ),
            Entry("update", "Fetch a skill again and show what changed.", "skills:update"),
            Entry("uninstall", "Remove a skill and all that its install made.", "skills:uninstall"),
            Entry("list", "List the installed skills of an assistant.", "skills:list_"),
            Entry("run", "Run a program of a skill in its sandbox.", "skills:run"),
            Entry("validate", "Check a skill strictly against the open format.", "skills:validate"),
            Entry(
                "credentials",
                "The keys that a skill wants.",
                children=(
                    Entry(
                        "list",
                        "Show which keys a skill wants and has.",
                        "skills:credentials_list",
                    ),
                    Entry(
                        "set",
                        "Keep a key for a skill, read from stdin.",
                        "skills:credentials_set",
                    ),
                    Entry("delete", "Forget a key of a skill.", "skills:credentials_delete"),
                ),
            ),
        ),
    ),
    Entry(
        "model",
        "Which model serves, whether it works, and its keys.",
        section=ASSISTANTS,
        bare="list",
        children=(
            Entry(
                "list",
                "List the configured models, or what the provider of MODEL offers.",
                "models:list_",
            ),
            Entry("use", "Choose the model that serves, from the next turn on.", "models:use"),
            Entry(
                "test",
                "See by one tiny call whether a model works.",
                "models:test",
            ),
            Entry("pull", "Let Ollama fetch the model of an entry, or another by its NAME.", "models:pull"),
            Entry("key", "Keep an assistant's key for a provider, encrypted.", "models:key"),
        ),
    ),
    Entry(
        "memory",
        "Read, search and change what an assistant remembers.",
        section=ASSISTANTS,
        bare="list",
        children=(
            Entry("list", "List the memory files.", "minding:memory_list"),
            Entry("show", "Print a memory file.", "minding:memory_show"),
            Entry("search", "Search the memory files for words.", "minding:memory_search"),
            Entry("write", "Replace a memory file by what comes on stdin.", "minding:memory_write"),
            Entry(
                "consolidate",
                "Let the model say what of the notes belongs into MEMORY.md.",
                "minding:memory_consolidate",
            ),
            Entry(
                "proposals",
                "List edits of memory that wait for you; accept or reject one.",
                "minding:memory_proposals",
            ),
        ),
    ),
    Entry(
        "cron",
        "Jobs that an assistant runs at their times.",
        section=ASSISTANTS,
        bare="list",
        children=(
            Entry("list", "List the jobs with their next times.", "minding:cron_list"),
            Entry("add", "Add a job.", "minding:cron_add"),
            Entry("remove", "Remove a job with its history.", "minding:cron_remove"),
            Entry("run", "Run a job now, beside its times.", "minding:cron_run"),
            Entry("history", "Show how runs of jobs went.", "minding:cron_history"),
        ),
    ),
    Entry(
        "approvals",
        "What waits for your word, and what goes without it.",
        section=ASSISTANTS,
        bare="list",
        children=(
            Entry("list", "List what waits for your word, of every assistant.", "minding:approvals_list"),
            Entry("approve", "Let exactly this call go ahead.", "minding:approvals_approve"),
            Entry("deny", "Do not let this call go ahead.", "minding:approvals_deny"),
            Entry(
                "grants",
                "Show the tools of an assistant with their risk, and its grants.",
                "minding:approvals_grants",
            ),
            Entry("revoke", "Take back a grant, or all of an assistant's.", "minding:approvals_revoke"),
            Entry(
                "incident", "Stop an assistant at once; --clear opens again.", "minding:approvals_incident"
            ),
        ),
    ),
    Entry(
        "heartbeat",
        "What an assistant looks after by itself.",
        section=ASSISTANTS,
        bare="status",
        children=(
            Entry(
                "status",
                "Show when the heartbeat beats next and what keeps it from it.",
                "minding:heartbeat_status",
            ),
            Entry("run", "Beat now.", "minding:heartbeat_run"),
            Entry("show", "Print HEARTBEAT.md.", "minding:heartbeat_show"),
            Entry("edit", "Replace HEARTBEAT.md by what comes on stdin.", "minding:heartbeat_edit"),
        ),
    ),
    Entry("serve", "Run the gateway in the foreground.", "serve:serve", GATEWAY),
    Entry(
        "service",
        "Let systemd run the gateway.",
        section=GATEWAY,
        children=(
            Entry("install", "Write a unit of the user's systemd that runs the gateway.", "serve:install"),
            Entry("uninstall", "Remove the unit of systemd that runs the gateway.", "serve:uninstall"),
        ),
    ),
    Entry("open", "Open the web UI, logged in.", "serve:open_", GATEWAY),
    Entry("password", "Let people log in to the web UI by a password.", "serve:password", GATEWAY),
    Entry(
        "token",
        "Print the owner's token; make tokens for others.",
        section=GATEWAY,
        bare="show",
        children=(
            Entry("show", "Print the owner's token.", "tokens:show"),
            Entry("rotate", "Replace the owner's token and print it.", "tokens:rotate"),
            Entry("create", "Make a token for another program or person.", "tokens:create"),
            Entry("list", "List the tokens that were made.", "tokens:list_"),
            Entry("revoke", "Refuse a token from now on.", "tokens:revoke"),
        ),
    ),
    Entry(
        "completion",
        "Print the script that completes words in your shell.",
        "completion:completion",
        GATEWAY,
    ),
)
