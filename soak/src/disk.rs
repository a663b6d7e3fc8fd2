//! An ext4 file system in a file, which can lose its power.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use testkit::cmd::succeed;

/// A mounted image; unmounted on drop.
pub(crate) struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    /// Makes and mounts a file system of the given size.
    pub(crate) fn make(folder: &Path, bytes: u64) -> Result<Self, String> {
        let disk = Self {
            image: folder.join("disk.img"),
            mount: folder.join("disk"),
        };
        let file = File::create(&disk.image).and_then(|file| file.set_len(bytes));
        file.and_then(|()| fs::create_dir_all(&disk.mount))
            .map_err(|e| format!("cannot make an image: {e}"))?;
        succeed(
            Command::new("mkfs.ext4")
                .args(["-q", "-F"])
                .arg(&disk.image),
        )?;
        disk.mount()?;
        Ok(disk)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.mount
    }

    fn mount(&self) -> Result<(), String> {
        succeed(
            Command::new("mount")
                .args(["-o", "loop"])
                .arg(&self.image)
                .arg(&self.mount),
        )
        .map(|_| ())
    }

    /// Cuts the file system off without flushing its log: whatever was not synced is lost.
    pub(crate) fn cut(&self) -> Result<(), String> {
        // EXT4_IOC_SHUTDOWN = _IOR('X', 125, u32) with EXT4_GOING_FLAGS_NOLOGFLUSH.
        const CUT: &str = "import fcntl, os, struct, sys\n\
            fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";
        succeed(Command::new("python3").args(["-c", CUT]).arg(&self.mount)).map(|_| ())
    }

    /// Unmounts and mounts again, as a machine does that comes back.
    pub(crate) fn restart(&self) -> Result<(), String> {
        self.unmount()?;
        self.mount()
    }

    fn unmount(&self) -> Result<(), String> {
        let mut last = Ok(String::new());
        for _ in 0..50 {
            last = succeed(Command::new("umount").arg(&self.mount));
            if last.is_ok() {
                break;
            }
            sleep(Duration::from_millis(100));
        }
        last.map(|_| ())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.unmount();
    }
}
