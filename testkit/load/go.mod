module gantry/xtask/load

go 1.19
