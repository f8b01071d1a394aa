"""The answers of the provider documents, word for word (provider-docs 000, 002, 003).

Only the `...` with which the pages shorten their streams are left out.
"""

from __future__ import annotations

from typing import Any

RESPONSES_JSON: dict[str, Any] = {
    "id": "resp_0e90a829f82901960169e10f8f12d081999a38d26a2d3f2f8e",
    "object": "response",
    "model": "gpt-5.4",
    "status": "completed",
    "created_at": 1776357263,
    "completed_at": 1776357264,
    "output": [
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_0e90a829f82901960169e10f8fab94819994201d9d5f8b201c",
            "status": "completed",
            "content": [
                {
                    "type": "output_text",
                    "text": "Quantum entanglement: two or more particles share correlated states"
                    " such that measuring one instantly determines the outcome of measuring the"
                    " others, no matter the distance.",
                    "annotations": [],
                }
            ],
        }
    ],
    "usage": {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 45,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 45,
    },
    "reasoning": {"effort": "low"},
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "parallel_tool_calls": True,
    "temperature": 1,
    "top_p": 0.98,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "service_tier": "default",
    "truncation": "disabled",
    "store": False,
    "background": False,
    "prompt_cache_key": "3e936979-eeac-46b9-b8de-1023adf31fb1",
    "prompt_cache_retention": "24h",
    "credits_consumed": 0.08,
}

RESPONSES_STREAM = b"""\
event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_xxx","object":"response","status":"in_progress","created_at":1776357621,"model":"gpt-5.4","output":[],"usage":null}}

event: response.in_progress
data: {"type":"response.in_progress","sequence_number":1,"response":{}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"msg_xxx","type":"message","status":"in_progress","content":[],"phase":"final_answer","role":"assistant"}}

event: response.content_part.added
data: {"type":"response.content_part.added","sequence_number":3,"content_index":0,"item_id":"msg_xxx","output_index":0,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":""}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":4,"content_index":0,"delta":"Quantum","item_id":"msg_xxx","output_index":0,"obfuscation":"Lh5gIRXJduvt83D","logprobs":[]}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":5,"content_index":0,"delta":" entanglement","item_id":"msg_xxx","output_index":0,"obfuscation":"6aRgLGNpXdPvddV","logprobs":[]}

event: response.output_text.done
data: {"type":"response.output_text.done","sequence_number":56,"content_index":0,"item_id":"msg_xxx","output_index":0,"text":"Quantum entanglement is the phenomenon where two or more quantum systems form an inseparable whole..."}

event: response.content_part.done
data: {"type":"response.content_part.done","sequence_number":57,"content_index":0,"item_id":"msg_xxx","output_index":0,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":"Quantum entanglement..."}}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":58,"output_index":0,"item":{"id":"msg_xxx","type":"message","status":"completed","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"Quantum entanglement..."}],"phase":"final_answer","role":"assistant"}}

event: response.completed
data: {"type":"response.completed","sequence_number":59,"response":{"id":"resp_xxx","object":"response","status":"completed","created_at":1776357621,"completed_at":1776357625,"model":"gpt-5.4","output":[{"role":"assistant","id":"msg_xxx","type":"message","status":"completed","content":[{"annotations":[],"text":"Quantum entanglement...","type":"output_text"}]}],"usage":{"input_tokens":0,"input_tokens_details":{"cached_tokens":0},"output_tokens":57,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":57}},"credits_consumed":0.10}

"""  # noqa: E501 - the lines of the document

CHAT_JSON: dict[str, Any] = {
    "id": "chatcmpl-abc123",
    "object": "chat.completion",
    "created": 1677652288,
    "model": "gemini-2.5-pro",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Quantum computing uses quantum bits (qubits)...",
            },
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 86, "total_tokens": 98},
}

CHAT_STREAM = b"""\
data: {"id":"chatcmpl-abc123","choices":[{"delta":{"role":"assistant","content":"Quantum"},"index":0}]}

data: {"id":"chatcmpl-abc123","choices":[{"delta":{"content":" computing"},"index":0}]}

data: {"id":"chatcmpl-abc123","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":86,"total_tokens":98}}

data: [DONE]

"""  # noqa: E501 - the lines of the document

GEMINI_31_JSON: dict[str, Any] = {
    "id": "chatcmpl-20260417001546375193862M1p62g7j",
    "object": "chat.completion",
    "created": 1776356269,
    "model": "gemini-3.1-pro-preview",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {
                "role": "assistant",
                "content": "Tomorrow (April 17, 2026) Shanghai weather forecast:\n\n"
                "*   **Conditions**: Mostly **cloudy to overcast**...\n"
                "*   **Temperature**: Low 13–15°C, high around 21°C...",
            },
        }
    ],
    "usage": {
        "prompt_tokens": 194,
        "completion_tokens": 229,
        "total_tokens": 880,
        "completion_tokens_details": {
            "reasoning_tokens": 457,
            "audio_tokens": 0,
            "text_tokens": 0,
        },
    },
    "credits_consumed": 0.25,
}

ERROR_CREDITS: dict[str, Any] = {
    "error": {
        "code": "insufficient_credits",
        "message": "Your credit balance is too low. Please top up.",
        "type": "billing_error",
    }
}

ERROR_FIELD: dict[str, Any] = {
    "error": {
        "code": "invalid_request",
        "message": "'model' is required.",
        "type": "invalid_request_error",
    }
}
