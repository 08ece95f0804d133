"""What the page says about opening results, copying a request and links in Chinese."""

from ui.strings.recipes import RecipeTexts

RECIPE_TEXTS = RecipeTexts(
    open="打开结果…",
    open_help="从视频、图片或 JSON 文件中取出设置；也可把文件拖放到页面任意位置。",
    drop="放下结果以取用其设置",
    opening="正在打开 {name}",
    opened="这些是 {name} 的设置。",
    missing="本机没有：",
    too_large="{name} 超过 {size} MiB；请改为打开其 JSON 文件或较小的导出文件。",
    not_uploaded="无法读取 {name}；请检查它是否为文件，以及本程序是否仍在运行。",
    copy_cli="复制为命令行",
    copy_cli_help="在本机生成同样结果的命令；种子固定时逐字节相同。",
    copy_python="复制为 Python",
    copy_python_help="用 Python 写的同样内容。",
    copy_link="复制链接",
    copy_link_help="打开后按此填写表单的地址；图片和视频不会随之发送。",
    of_result="命令行、Python、链接",
    copied="已复制。",
    copy_by_hand="浏览器在此不允许使用剪贴板；请手动复制：",
    close="关闭",
    link_ignored="链接中未采用的内容：{names}。",
    link_no_job="本机没有此链接的任务；可能已被删除。",
)
