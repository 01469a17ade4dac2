    .section .rodata
    .global payload, payload_end, manifest, manifest_end
    .balign 16
payload:
    .incbin PAYLOAD
payload_end:
    .balign 16
manifest:
    .incbin MANIFEST
manifest_end:
    .byte 0
    .section .note.GNU-stack, "", %progbits
