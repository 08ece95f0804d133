"""What is said in English to visitors of a public page, said in Chinese; see ``ui.strings.sentences``."""

PUBLIC = {
    "{} is not on this machine": "这台机器上没有 {0}",
    "Choose another one.": "请选择另一个。",
    "{} {} are more than a public page makes": "{0} {1} 超出了公开页面的限制",
    "Use at most {}.": "最多 {0}。",
    "{} jobs of yours wait or run": "您已有 {0} 个任务在等待或运行",
    "Wait until one of them is done.": "请等其中一个完成。",
    "{} jobs wait already": "已有 {0} 个任务在等待",
    "Come back in a while.": "请稍后再来。",
    "you began {} jobs within a minute": "您在一分钟内开始了 {0} 个任务",
    "Wait a minute.": "请等一分钟。",
    "nobody is asking": "不知道是谁在请求",
    "Allow this page its cookie and reload it.": "请允许此页面使用 Cookie，然后重新加载。",
    "{} is not for visitors of a public page": "公开页面的访客不能{0}",
    "Deleting": "删除",
    "Pausing the queue": "暂停队列",
    "Ask the person who runs it.": "请联系此页面的运营者。",
}
