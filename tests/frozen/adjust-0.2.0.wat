;; A driver that adjusts, by the contract 0.2.0: it waits once, takes up what a
;; crash cut short after a pause, and undoes in two steps.
(module
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.and (i32.const -16)
      (i32.add (i32.const 15) (i32.add (global.get $next) (local.get 3)))))
    (local.get $at))
  (data (i32.const 2000) "app")
  (data (i32.const 2010) "workers")
  (data (i32.const 2020) "{\"step\":1}")
  (data (i32.const 2040) "{\"back\":1}")
  (data (i32.const 2060) "not taken up")
  ;; A setting: its name, a range of 1 to 16 by 1, now 4.
  (data (i32.const 3000) "\da\07\00\00\07\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\f0\3f\00\00\00\00\00\00\30\40\01\00\00\00\00\00\00\00\00\00\00\00\00\00\f0\3f\01\00\00\00\00\00\00\00\00\00\00\00\00\00\10\40\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  ;; A component: its name, one setting.
  (data (i32.const 3200) "\d0\07\00\00\03\00\00\00\b8\0b\00\00\01\00\00\00")
  ;; describe: ok, one component.
  (data (i32.const 3312) "\00\00\00\00\80\0c\00\00\01\00\00\00")
  ;; A value: app, workers, the integer 6.
  (data (i32.const 3408) "\d0\07\00\00\03\00\00\00\da\07\00\00\07\00\00\00\00\00\00\00\00\00\00\00\06\00\00\00\00\00\00\00")
  ;; The same with 4.
  (data (i32.const 3504) "\d0\07\00\00\03\00\00\00\da\07\00\00\07\00\00\00\00\00\00\00\00\00\00\00\04\00\00\00\00\00\00\00")
  ;; adjust: ok, wait, 30 s, the state.
  (data (i32.const 3600) "\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00\00\00\3e\40\e4\07\00\00\0a\00\00\00")
  ;; adjust, recover: ok, done, 6 is in force.
  (data (i32.const 3712) "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\50\0d\00\00\01\00\00\00")
  ;; recover: a failure, `failed`, no reason, a message, 4 is in force.
  (data (i32.const 3808) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\0c\08\00\00\0c\00\00\00\01\00\00\00\b0\0d\00\00\01\00\00\00")
  ;; cancelled: ok, wait, 20 s, the state.
  (data (i32.const 3904) "\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00\00\00\34\40\f8\07\00\00\0a\00\00\00")
  ;; cancelled: ok, done, 4 is in force.
  (data (i32.const 4000) "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\b0\0d\00\00\01\00\00\00")
  (func (export "servo:driver/adjust@0.2.0#describe") (param i32 i32) (result i32)
    (i32.const 3312))
  ;; Without `resume` it is the first step.
  (func (export "servo:driver/adjust@0.2.0#adjust") (param $arguments i32) (result i32)
    (select (i32.const 3712) (i32.const 3600)
      (i32.load8_u offset=128 (local.get $arguments))))
  ;; Without a state it had not paused.
  (func (export "servo:driver/adjust@0.2.0#recover") (param $arguments i32) (result i32)
    (select (i32.const 3712) (i32.const 3808)
      (i32.load8_u offset=128 (local.get $arguments))))
  (func (export "servo:driver/adjust@0.2.0#cancelled") (param $arguments i32) (result i32)
    (select (i32.const 4000) (i32.const 3904)
      (i32.load8_u offset=136 (local.get $arguments)))))
