# ruff: noqa: E501 - each sentence beside its translation
"""What is said in English of a queue in a file, said in Chinese; see ``ui.strings.sentences``."""

QUEUE = {
    "there is none": "没有",
    "Save the queue again.": "请重新保存队列。",
    "{} in {} is no JSON; choose another copy.": "{1} 中的 {0} 不是 JSON；请选择另一份副本。",
    "{} is no queue of this studio; choose a file that Save queue made.": "{0} 不是本程序的队列；请选择由“保存队列”生成的文件。",
    "{} is a queue of version {}; this studio reads {}.": "{0} 是版本 {1} 的队列；本程序读取版本 {2}。",
    "{} holds {} jobs; a queue may have {}.": "{0} 有 {1} 个任务；一个队列最多 {2} 个。",
    "The queue with its inputs has {} GiB; a file takes up to {}.": "队列连同素材共 {0} GiB；一个文件最多 {1}。",
    "The queue has {} jobs, too many for a file.": "队列有 {0} 个任务，一个文件容纳不下。",
    "{} holds more files than a queue may have ({}).": "{0} 中的文件多于一个队列所允许的（{1}）。",
    "{} holds {}, which is no part of a queue; nothing of it was taken.": "{0} 含有 {1}，它不属于队列；其中内容均未采用。",
    "{} holds {} twice; nothing of it was taken.": "{0} 两次含有 {1}；其中内容均未采用。",
    "{} in {} is a link, locked or packed in an unknown way.": "{1} 中的 {0} 是链接、已加密或以未知方式压缩。",
    "{} unpacks to {} GiB; a queue may have {}.": "{0} 解压后为 {1} GiB；一个队列最多 {2}。",
}
