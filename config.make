cat << END                                                    >> $NGX_MAKEFILE

modules:	ngx_portal_module.so

ngx_portal_module.so:	$NGX_AUTO_CONFIG_H
	cmake --build $ngx_portal_objs/ngx_portal_module --target ngx_portal_module

.PHONY: ngx_portal_module.so

END
