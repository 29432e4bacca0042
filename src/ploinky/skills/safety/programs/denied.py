"""Programs that no install needs: a name, the rule, and the few forms of them that only look.

To refuse one more, add its name to a row.
"""

from __future__ import annotations

import re

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.values import Stream, Taint

_ROWS: tuple[tuple[str, str], ...] = (
    (
        "privilege",
        ("newuidmap newgidmap sudo doas su runuser pkexec gosu su-exec setpriv chroot nsenter unshare capsh "
         "setcap sg newgrp machinectl sudoedit visudo useradd adduser usermod userdel deluser groupadd "
         "addgroup groupmod gpasswd passwd chpasswd chage vipw vigr newusers mount umount losetup mknod "
         "insmod modprobe rmmod sysctl kexec setfacl chattr update-alternatives dpkg-reconfigure polkit "
         "pkaction dseditgroup dscl sysadminctl kldload loginctl bwrap firejail systemd-nspawn lxc-attach "
         "dbus-send busctl gdbus runas gsudo please calife super op-sudo fakeroot proot keyctl setarch "
         "ldconfig arptables brctl"),
    ),
    (
        "persistence",
        ("ssh-copy-id crontab at batch atd anacron systemctl systemd-run service rc-update rc-service "
         "chkconfig update-rc.d launchctl initctl nohup setsid disown daemonize daemon start-stop-daemon "
         "screen tmux tmate byobu zellij dtach abduco pm2 forever supervisorctl supervisord schtasks sc "
         "dinitctl sv s6-svc runsv autossh sc.exe nssm loginitems osacompile xdg-autostart kickstart"),
    ),
    (
        "security-off",
        ("ufw iptables ip6tables nft firewall-cmd setenforce aa-disable aa-complain aa-teardown spctl "
         "csrutil xattr tccutil fdesetup pfctl littlesnitch socketfilterfw auditctl semanage setsebool "
         "netsh Set-MpPreference bcdedit nvram apt-key add-apt-repository update-ca-certificates "
         "update-ca-trust trust mokutil vbetool profiles defaults softwareupdate chflags"),
    ),
    ("write-outside", ("gsettings dconf kwriteconfig5 kwriteconfig6 xfconf-query xdg-mime xdg-settings "
                      "networksetup scutil pmset systemsetup")),
    (
        "destruction",
        ("mkfs mke2fs mkswap wipefs fdisk sfdisk parted gdisk sgdisk blkdiscard cryptsetup lvremove "
         "vgremove pvremove zpool zfs shutdown reboot halt poweroff init telinit diskutil hdparm badblocks "
         "format nvme swapoff dmsetup mdadm history fc dropdb dropuser stress stress-ng yes"),
    ),
    (
        "other-processes",
        ("killall killall5 pkill skill snice gcore strace ltrace ptrace reptyr fuser gdbserver lldb "
        "bpftrace perf py-spy xkill taskkill"),
    ),
    (
        "read-secret",
        ("security secret-tool gnome-keyring kwallet-query pass gopass lpass ssh-add ssh-agent mimikatz "
         "getent dscacheutil screencapture imagesnap fswebcam grim maim flameshot gnome-screenshot "
         "spectacle arecord parecord pbpaste xclip xsel wl-paste scrot import ffgrab ssh-keyscan cmdkey "
         "vaultcmd keyring keepassxc-cli kpcli rbw"),
    ),
    (
        "reverse-shell",
        ("zmodload ztcp socat telnet ncat.exe pwncat chisel ngrok cloudflared frpc frps bore ligolo rathole "
         "localtunnel lt revsocks iodine dnscat dnscat2 ptunnel sshuttle msfconsole msfvenom websocat "
         "pwsh-remoting gsocket gs-netcat tor proxychains proxychains4 torsocks"),
    ),
    ("exfiltration", ("mail mailx sendmail mutt msmtp swaks rclone croc wormhole magic-wormhole ffsend "
                     "restic borg duplicity tcpdump tshark")),
)  # fmt: skip
DENIED: dict[str, str] = {name: rule for rule, names in _ROWS for name in names.split()}
_ONLY_LOOKS = {
    "history": (),
    "tmux": ("-V",),
    "systemctl": ("--version",),
    "screen": ("-v", "--version"),
}


def denied(call: Invocation) -> Result:
    """The handler of every refused program."""
    looks = _ONLY_LOOKS.get(call.program)
    if looks and call.texts and call.texts[0] in looks:
        return EMPTY
    call.report(DENIED[call.program], f"runs {call.program}")
    return Result(Stream(frozenset({Taint.COMPUTED})))


_TELLS = frozenset(
    "ifconfig ip lscpu lsblk lsusb lspci lsmod lsns lshw system_profiler sw_vers dmidecode w who last "
    "lastlog finger netstat ss lsof arp route dmesg journalctl hostnamectl timedatectl lsb_release printenv "
    "vmstat iostat free mount groups logname users ioreg nmcli iwconfig iwgetid airport scutil hostid "
    "uptime neofetch fastfetch inxi nvidia-smi getconf sysctl locate mdfind mdls".split()
)


def tells_of_the_machine(program: str) -> bool:
    """Whether what a program prints are facts of this machine or of its owner."""
    return program in _TELLS


def processes(call: Invocation) -> Result:
    """``ps``: looks at other processes, which asks; their environment is secret."""
    shows = any(re.fullmatch(r"[a-zA-Z]*e[a-zA-Z]*", each) for each in call.texts)
    call.report("read-secret" if shows else "unknown-command", "looks at other processes")
    return Result(Stream(frozenset({Taint.LOCAL})))


def environment_dump(call: Invocation) -> Result:
    """``env`` alone, ``printenv``, ``set`` alone: what they print is secret."""
    return Result(Stream(frozenset({Taint.SECRET})))
