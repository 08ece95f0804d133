# ruff: noqa: E501 - each sentence beside its translation
"""What is said in English of prompts written out, said in Chinese; see ``ui.strings.sentences``."""

ENHANCING = {
    "Stopped; the prompt stays as it is.": "已停止；提示词保持不变。",
    "Nothing is set to write prompts out; choose a language model in Settings.": "尚未设定由谁扩写提示词；请在“设置”中选择语言模型。",
    "A prompt is being written out already; wait for it, or stop it.": "已有一条提示词正在扩写；请等待或停止它。",
    "Write an idea first; a few words are enough.": "请先写下想法；几个词就够了。",
    "The prompt has {} characters; shorten it to {}.": "提示词有 {0} 个字符；请缩短到 {1} 个以内。",
    "The language model wrote nothing; try again, or choose another one.": "语言模型什么也没写；请再试一次，或另选一个。",
    "Name the endpoint and its model in Settings.": "请在“设置”中填写接口和它的模型。",
    "{} cannot be reached; is it running, and is its address right in Settings?": "无法连接 {0}；它在运行吗？“设置”中的地址对吗？",
    "{} did not answer in time; try again, or allow more seconds in Settings.": "{0} 没有及时回答；请再试一次，或在“设置”中延长等待时间。",
    "{} sends elsewhere; enter the final address in Settings.": "{0} 转向了别处；请在“设置”中填写最终地址。",
    "{} refuses the request; does it have the model named in Settings?": "{0} 拒绝了请求；它有“设置”中填写的模型吗？",
    "{} refuses the key; enter it again in Settings.": "{0} 拒绝了密钥；请在“设置”中重新填写。",
    "{} has no such address or model; check both in Settings.": "{0} 没有这个地址或模型；请在“设置”中检查。",
    "{} has too much to do, or your allowance there is used up; try again later.": "{0} 太忙，或您在那里的额度已用完；请稍后再试。",
    "{} answered with error {}; try again later.": "{0} 返回错误 {1}；请稍后再试。",
    "{} answers with more than a prompt; is it a language model?": "{0} 的回答太长；它是语言模型吗？",
    "{} answers in another form than OpenAI; check its address.": "{0} 的回答不是 OpenAI 的格式；请检查地址。",
    "Name a language model's folder in Settings.": "请在“设置”中填写语言模型的文件夹。",
    "{} holds no language model; it needs config.json, a tokenizer and .safetensors files.": "{0} 中没有语言模型；需要 config.json、分词器和 .safetensors 文件。",
    "{} is no folder on this machine and no model in its Hugging Face cache; nothing is downloaded for this, so fetch it yourself or name another.": "{0} 既不是本机的文件夹，也不在 Hugging Face 缓存中；这里不会下载任何东西，请自行获取或换一个。",
    "The language model takes about {} GiB of memory and {} GiB are free; unload the video model, or take a smaller one.": "语言模型约需 {0} GiB 内存，而可用的只有 {1} GiB；请卸载视频模型，或换一个更小的。",
    "The language model did not finish in {} s; allow more, or take a smaller one.": "语言模型没有在 {0} 秒内写完；请延长时间，或换一个更小的。",
    "The language model ended before it wrote anything; is there enough memory for it?": "语言模型还没写出内容就中断了；内存够用吗？",
    "{} cannot be run as a language model: {}": "{0} 无法作为语言模型运行：{1}",
}
