;; A driver that measures, by the contract 0.2.0: it waits once, then asks the
;; address of its configuration in one call, and answers with a note.
(module
  (import "servo:driver/config@0.2.0" "get" (func $config (param i32)))
  (import "servo:driver/fetch@0.2.0" "send"
    (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 f64 i32)))
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.and (i32.const -16)
      (i32.add (i32.const 15) (i32.add (global.get $next) (local.get 3)))))
    (local.get $at))
  (data (i32.const 2000) "value")
  (data (i32.const 2010) "{\"step\":1}")
  (data (i32.const 2030) "GET")
  (data (i32.const 2040) "answer")
  (data (i32.const 2050) "no answer")
  ;; A metric: its name, and nothing else.
  (data (i32.const 3000) "\d0\07\00\00\05\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  ;; describe: ok, one metric.
  (data (i32.const 3104) "\00\00\00\00\b8\0b\00\00\01\00\00\00")
  ;; measure: ok, wait, 30 s, the state.
  (data (i32.const 3216) "\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00\00\00\3e\40\da\07\00\00\0a\00\00\00")
  ;; A note: its name; its text is set when there is one.
  (data (i32.const 3312) "\f8\07\00\00\06\00\00\00\00\00\00\00\00\00\00\00")
  ;; measure: ok, done, no samples, one note.
  (data (i32.const 3408) "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\f0\0c\00\00\01\00\00\00")
  ;; measure: a failure, `failed`, no reason, a message.
  (data (i32.const 3504) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\02\08\00\00\09\00\00\00")
  (func (export "servo:driver/measure@0.2.0#describe") (param i32 i32) (result i32)
    (i32.const 3104))
  (func (export "servo:driver/measure@0.2.0#measure") (param $arguments i32) (result i32)
    ;; Without `resume` it is the first step.
    (if (i32.eqz (i32.load8_u offset=120 (local.get $arguments)))
      (then (return (i32.const 3216))))
    ;; The configuration is {"url":"..."}.
    (call $config (i32.const 4000))
    (call $send (i32.const 2030) (i32.const 3)
      (i32.add (i32.load (i32.const 4000)) (i32.const 8))
      (i32.sub (i32.load offset=4 (i32.const 4000)) (i32.const 10))
      (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 0) (f64.const 0)
      (i32.const 4112))
    (if (i32.load8_u (i32.const 4112)) (then (return (i32.const 3504))))
    (i32.store (i32.const 3320) (i32.load offset=20 (i32.const 4112)))
    (i32.store (i32.const 3324) (i32.load offset=24 (i32.const 4112)))
    (i32.const 3408))
  ;; Address 1024 holds zeroes: ok, done.
  (func (export "servo:driver/measure@0.2.0#cancelled") (param i32) (result i32)
    (i32.const 1024)))
